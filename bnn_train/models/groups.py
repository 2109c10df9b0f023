"""Residual blocks in several copies side by side (Zhuang et al.: Group-Net, arXiv 1811.10413)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Average(nn.Module):
    """The mean of several maps."""

    def __init__(self, count: int) -> None:
        """``count``: K."""
        super().__init__()
        self.count = count

    def forward(self, *maps: Tensor) -> Tensor:
        """K times N×C×H×W → N×C×H×W."""
        total = maps[0]
        for other in maps[1:]:
            total = total + other
        return total / self.count


class Mix(nn.Module):
    """σ(θ)·own + (1 − σ(θ))·mean: the soft gate of a branch (§3.3), θ learned and 0 at first."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, own: Tensor, mean: Tensor) -> Tensor:
        """Two maps N×C×H×W → one."""
        return mean + torch.sigmoid(self.gate) * (own - mean)


class Group(nn.Module):
    """K copies of a block; each reads the mix of its own stream and the mean of all."""

    def __init__(self, branches: Sequence[nn.Module], *, mixes: bool) -> None:
        """``mixes``: there are K streams yet; the first group reads one."""
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.average = Average(len(branches))
        self.mixes = nn.ModuleList([Mix() for _ in branches] if mixes else [])

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        """A map for each branch, or one for all → a map of each branch."""
        if not self.mixes:
            return [branch(streams[0]) for branch in self.branches]
        mean = self.average(*streams)
        parts = zip(self.branches, self.mixes, streams, strict=True)
        return [branch(mix(own, mean)) for branch, mix, own in parts]


class Groups(nn.Module):
    """Groups one behind the other; the mean of the last one's branches."""

    def __init__(self, groups: Sequence[Group]) -> None:
        super().__init__()
        self.groups = nn.ModuleList(groups)
        self.average = Average(len(groups[-1].branches))

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×C′×H′×W′."""
        streams = [x]
        for group in self.groups:
            streams = group(streams)
        mean: Tensor = self.average(*streams)
        return mean
