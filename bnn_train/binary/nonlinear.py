"""Nonlinearities on the real stream of a network, by the name of ``BlockSpec.post_add_activation``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def of_channels(numbers: Tensor, x: Tensor) -> Tensor:
    """A number for each channel, spread over N×C×…"""
    return numbers.view(-1, *[1] * (x.dim() - 2))


class PReLU(nn.Module):
    """positive[c]·max(x, 0) + negative[c]·min(x, 0): the usual PReLU where only the second slope learns,
    AdaBin's Maxout where both do (arXiv 2208.08084). They start at 1 and 0.25."""

    positive: nn.Parameter | None

    def __init__(self, channels: int, *, learns_positive: bool = False) -> None:
        super().__init__()
        self.negative = nn.Parameter(torch.full((channels,), 0.25))
        self.register_parameter("positive", nn.Parameter(torch.ones(channels)) if learns_positive else None)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×… → the same shape."""
        above = x.relu()  # slope 0 at 0, where the other half has its slope: sums of signs are often 0
        if self.positive is not None:
            above = above * of_channels(self.positive, x)
        return above + x.clamp(max=0) * of_channels(self.negative, x)


class RPReLU(nn.Module):
    """PReLU(x + before[c]) + after[c]: a PReLU whose bend may lie anywhere (ReActNet, arXiv 2003.03488 eq. 2,
    whose γ is −before). Both shifts start at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before, self.after = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))
        self.prelu = PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×… → the same shape."""
        bent: Tensor = self.prelu(x + of_channels(self.before, x))
        return bent + of_channels(self.after, x)


STREAMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "relu": lambda channels: nn.ReLU(),
    "hardtanh": lambda channels: nn.Hardtanh(),
    "prelu": PReLU,
    "rprelu": RPReLU,
    "maxout": lambda channels: PReLU(channels, learns_positive=True),
}
"""From the number of channels to the module."""
