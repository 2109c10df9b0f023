"""The deviation of a sum of products of signs, each of which is known by its expectation."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InExpectedDeviations(nn.Module):
    """z = μ/σ while training, the layer's own sums elsewhere (Soudry, Hubara, Meir: Expectation
    Backpropagation, NIPS 2014, and the authors' code).

    With weights m = ⟨W⟩ and inputs v = ⟨V⟩ that are expectations of signs, and the bias b, a sum has
    μ = Σ m·v + b and σ² = Σ (1 − m²·v²) + 1; over the image, which is known, σ² = Σ (1 − m²)·x² + 1. The
    authors divide both by √(K + 1), K the fan-in, which z does not see. Φ(z) is the chance of +1.

    σ is a constant in the gradient: that of 2Φ(z) − 1 is then 2·φ(z)/σ, the authors' G, and what goes on to
    the inputs is mᵀ(δ∘G)."""

    layer: Any

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer
        conv = isinstance(layer, nn.Conv2d)
        self._walk = (layer.stride, layer.padding, layer.dilation, layer.groups) if conv else None
        self._signs = layer.quantizes_input
        self.held = False
        self._kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The layer's input → its output."""
        y: Tensor = self.layer(x)
        if not self.training:
            return y
        if not self.held:
            return y / self.variance(x).sqrt()
        if self._kept is None:
            self._kept = self.variance(x)
        return y / self._kept.sqrt()

    @torch.no_grad()
    def variance(self, x: Tensor) -> Tensor:
        """σ² of each sum, at least the 1 of the bias."""
        mean, weight = self.layer.quantized(x).square(), self.layer.read_weight().square()
        if self._signs:
            return self._sums(torch.ones_like(mean), torch.ones_like(weight)) - self._sums(mean, weight) + 1
        return self._sums(mean, 1 - weight) + 1

    def _sums(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.linear(x, weight) if self._walk is None else F.conv2d(x, weight, None, *self._walk)


def hold(model: nn.Module) -> bool:
    """Let every deviation stay what it is in the next pass, for instruments that compare derivatives; whether
    there is one."""
    found = [module for module in model.modules() if isinstance(module, InExpectedDeviations)]
    for module in found:
        module.held = True
    return bool(found)
