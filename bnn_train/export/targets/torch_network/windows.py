"""The steps without weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_train.export.targets.torch_network.arithmetic import added, taps
from bnn_train.export.targets.torch_network.steps import Described, Signals, Step, Tensors


class Window(Step):
    """A step whose outputs see some taps of the map."""

    def parts(self, x: Tensor, missing: float) -> list[Tensor]:
        """The map as each tap of the window sees it, in row order; ``missing``: outside."""
        g, target = self.step["geometry"], self.values[self.step["output"]]
        size, reach = (target["height"], target["width"]), []
        for i in range(2):
            kernel, stride, padding, dilation = (g[k][i] for k in ("kernel", "stride", "padding", "dilation"))
            last = (size[i] - 1) * stride + dilation * (kernel - 1) + 1
            reach.append((padding, max(0, last - padding - x.shape[2 + i]), dilation, stride))
        (top, below, down, rows), (left, right, across, columns) = reach
        x = F.pad(x, (left, right, top, below), value=missing)
        found = []
        for row in range(g["kernel"][0]):
            for column in range(g["kernel"][1]):
                part = x[:, :, row * down :: rows, column * across :: columns]
                found.append(part[:, :, : size[0], : size[1]])
        return found


class Pool(Window):
    """The largest or the mean of what a window sees; of signs, the least where ``turns`` is −1."""

    turns: Tensor | None
    counts: Tensor

    def __init__(self, step: Described, values: list[Described], tensors: Tensors) -> None:
        super().__init__(step, values, tensors)
        flip = tensors.get(step["flip"])
        self.register_buffer("turns", None if flip is None else 1 - 2 * flip.float()[:, None, None])
        self.register_buffer("counts", self._counts())

    def _counts(self) -> Tensor:
        """The taps of each window that count in a mean."""
        g, target, found = self.step["geometry"], self.values[self.step["output"]], []
        for i, key in enumerate(("height", "width")):
            kernel, stride, padding, dilation = (g[k][i] for k in ("kernel", "stride", "padding", "dilation"))
            room, shift = self.source[key], padding
            if self.step["include_padding"]:
                room, shift = room + 2 * padding, 0
            seen = taps(room, target[key], kernel, stride, shift, dilation)
            found.append(torch.tensor([float(len(inside)) for inside in seen]))
        return found[0][:, None] * found[1]

    def forward(self, values: Signals) -> Signals:
        """One tensor for each plane."""
        return {self.step["output"]: [self._pooled(x) for x in values[self.step["input"]]]}

    def _pooled(self, x: Tensor) -> Tensor:
        if self.step["kind"] == "average":
            return added(self.parts(x, 0.0)) / self.counts
        turned = x if self.turns is None else x * self.turns
        most = self.parts(turned, -float("inf"))
        found = most[0]
        for part in most[1:]:
            found = torch.maximum(found, part)
        return found if self.turns is None else found * self.turns


class InputScale(Window):
    """K of XNOR-Net: the mean of |x| over the window and the channels of a group, in float64."""

    def forward(self, values: Signals) -> Signals:
        """N×groups×H×W."""
        x, g = values[self.step["input"]][0].double().abs(), self.step["geometry"]
        sums = x.reshape(len(x), g["groups"], -1, *x.shape[2:]).sum(2)
        count = g["kernel"][0] * g["kernel"][1] * (x.shape[1] // g["groups"])
        return {self.step["output"]: [(added(self.parts(sums, 0.0)) / count).float()]}


class Subsample(Step):
    """Every stride-th pixel, in the channels from ``before`` on; the others are 0."""

    def forward(self, values: Signals) -> Signals:
        """A shortcut's value."""
        rows, columns = self.step["stride"]
        x, before = values[self.step["input"]][0][:, :, ::rows, ::columns], self.step["before"]
        behind = self.values[self.step["output"]]["channels"] - before - x.shape[1]
        return {self.step["output"]: [F.pad(x, (0, 0, 0, 0, before, behind))]}


class Mean(Step):
    """The mean of each map, in float64."""

    def forward(self, values: Signals) -> Signals:
        """N×C×1×1."""
        x = values[self.step["input"]][0]
        return {self.step["output"]: [x.double().mean((2, 3), keepdim=True).float()]}


class Concat(Step):
    """The channels of one value behind those of another."""

    def forward(self, values: Signals) -> Signals:
        """All of them."""
        both = (values[self.step["input"]][0], values[self.step["second"]][0])
        return {self.step["output"]: [torch.cat(both, 1)]}


class Channels(Step):
    """Some channels of a value."""

    def forward(self, values: Signals) -> Signals:
        """Those from ``start`` on."""
        start, count = self.step["start"], self.values[self.step["output"]]["channels"]
        return {self.step["output"]: [values[self.step["input"]][0][:, start : start + count]]}
