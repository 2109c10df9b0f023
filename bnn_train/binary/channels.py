"""Leaves by which networks join, part and weigh channels; what an export finds when it traces a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Concat(nn.Module):
    """The channels of one map behind those of another."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """N×A×H×W, N×B×H×W → N×(A+B)×H×W."""
        return torch.cat((first, second), dim=1)


class Channels(nn.Module):
    """The channels from ``start`` up to, and without, ``stop``."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×(stop − start)×H×W."""
        return x[:, self.start : self.stop]


class Gated(nn.Module):
    """Each channel of a map times a number of its own, made for each image."""

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        """N×C×H×W, N×C → N×C×H×W."""
        return x * gate[:, :, None, None]
