"""The deviation of a sum of spikes over connections, when both are there with a probability."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 0.01
"""Of σ²: where so little is left to chance, a neuron is sure anyway."""


class DividedByDeviation(nn.Module):
    """y/σ while training, y elsewhere: y = b + ½ + Σ x·s·c, the expectation of a neuron's sum, σ² = Σ E[X²]·c
    − (x·c)². E[X²] is x for a spike of probability x, x² for the image, which nobody draws (Esser et al.,
    NIPS 2015; that of the image is our derivation). Φ(y/σ) is the chance of a sum of at least 0.

    ½ is the correction for whole numbers. The bias holds it, so that a sample fires where S + b, b rounded,
    is at least 0; without a bias a sample needs none."""

    layer: Any

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer
        conv = isinstance(layer, nn.Conv2d)
        self._walk = (layer.stride, layer.padding, layer.dilation, layer.groups) if conv else None
        self._spikes, self._half = layer.quantizes_input, 0.0
        if layer.bias is None:
            self._half = 0.5
        else:
            nn.init.constant_(self.layer.bias, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's input → its output."""
        y: Tensor = self.layer(x)
        if not self.training:
            return y
        return (y + self._half) / self.variance(x).clamp(min=LEAST).sqrt()

    def variance(self, x: Tensor) -> Tensor:
        """σ² of each sum."""
        mean, weight = self.layer.quantized(x), self.layer.read_weight()
        second = mean if self._spikes else mean.square()
        return self._sums(second, weight.abs()) - self._sums(mean.square(), weight.square())

    def _sums(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.linear(x, weight) if self._walk is None else F.conv2d(x, weight, None, *self._walk)
