"""Means of whole maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GlobalAverage(nn.AdaptiveAvgPool2d):
    """The mean of each map, whose gradient comes back in the layout of the maps.

    Torch's own comes back channels-first; down the residual stream of a channels-last network it then
    makes every batch norm's backward pass three times slower.
    """

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×C×1×1."""
        if x.requires_grad and x.is_contiguous(memory_format=torch.channels_last):
            x.register_hook(_channels_last)  # type: ignore[no-untyped-call]  # in torch;
            # a closure that held x would keep every step's graph alive
        return super().forward(x)


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)
