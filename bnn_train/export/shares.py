"""Weighted sums of several maps, as Group-Net's, taken apart into factors and additions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bnn_train.models.groups import Average, Mix


class Share(nn.Module):
    """One map's part of a weighted sum: times a number."""

    factor: Tensor

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, kept."""
        return x * self.factor


class WeightedSum(nn.Module):
    """Σ factor·map, added from the first on."""

    def __init__(self, factors: Sequence[float]) -> None:
        super().__init__()
        self.shares = nn.ModuleList(map(Share, factors))

    def forward(self, *maps: Tensor) -> Tensor:
        """As many maps N×C×H×W as there are factors → one."""
        first, *others = (share(x) for share, x in zip(self.shares, maps, strict=True))
        total: Tensor = first
        for other in others:
            total = total + other
        return total


def apart(model: nn.Module) -> None:
    """Replace the means and mixes of a network, in place, by sums of shares: equal but for rounding."""
    for name, module in list(model.named_modules()):
        factors = _factors(module)
        if factors:
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, WeightedSum(factors))


def _factors(module: nn.Module) -> list[float]:
    if isinstance(module, Average):
        return [1 / module.count] * module.count
    if isinstance(module, Mix):
        own = float(torch.sigmoid(module.gate.detach().double()))
        return [own, 1 - own]
    return []
