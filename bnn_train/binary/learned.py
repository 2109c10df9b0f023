"""Parameters that quantizers learn beside the weights: clips, shifts, factors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class LearnedGroup:
    """Parameters with a rate and a decay of their own."""

    parameters: tuple[nn.Parameter, ...]
    rate: float
    """Factor on the run's learning rate."""
    weight_decay: float | None
    """L2 on them; None: that of the real weights."""


class Learns(nn.Module):
    """A module whose own parameters are an optimizer group of their own."""

    rate: float = 1.0
    weight_decay: float | None = None


def learned_groups(model: nn.Module) -> Iterator[LearnedGroup]:
    """The groups of a network in its order, modules with the same rate and decay together."""
    groups: dict[tuple[float, float | None], list[nn.Parameter]] = {}
    for module in model.modules():
        if isinstance(module, Learns):
            own = groups.setdefault((module.rate, module.weight_decay), [])
            own += [p for p in module.parameters(recurse=False) if all(p is not other for other in own)]
    for (rate, decay), parameters in groups.items():
        if parameters:
            yield LearnedGroup(tuple(parameters), rate, decay)
