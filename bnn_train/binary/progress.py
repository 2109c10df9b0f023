"""Weights that are quantized little by little: which of them are, at a position of the run."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bnn_train.binary.placed import Placed
from bnn_train.binary.tables import Table
from bnn_train.spec import progress as options


class Progress(Placed):
    """All weights at once; subclasses make some of them wait."""

    def __init__(self, spec: options.AtOnce, weight: Tensor) -> None:
        super().__init__()
        self.spec = spec

    @property
    def waits(self) -> bool:
        """Whether the layer still multiplies with its latent weight."""
        return False

    def stand(self, index: int, count: int) -> None:
        """Say that the layer is number ``index`` of ``count``, from 0, in the network's order."""

    def hold(self, w: Tensor, quantize: Callable[[Tensor], Tensor]) -> None:
        """After each step, keep in ``w`` what must not move. ``quantize``: w → ŵ."""


PROGRESS: Table[Progress] = Table()
PROGRESS.builds(options.AtOnce)(Progress)


@PROGRESS.builds(options.ByLayer)
class ByLayer(Progress):
    """Layer l of L, from 0, is quantized once l ≥ L − ⌈t·L⌉; before, it multiplies with its latent weight
    (FleBin, arXiv 1709.04344: "inverse order of layer depth"). The pace t is our reading: the paper takes a
    layer at a time and trains the whole network in between."""

    spec: options.ByLayer

    def __init__(self, spec: options.ByLayer, weight: Tensor) -> None:
        super().__init__(spec, weight)
        self.index, self.count = 0, 1

    @property
    def waits(self) -> bool:
        due = math.ceil(self.spec.share_at(self.position) * self.count)
        return self.count - self.index > min(due, self.spec.stop_after or due)

    def stand(self, index: int, count: int) -> None:
        self.index, self.count = index, count


@PROGRESS.builds(options.ByFraction)
class ByFraction(Progress):
    """At the first step of each stage, the ⌈f·n⌉ largest of n weights are quantized and frozen (INQ, arXiv
    1702.03044 §2.2; largest first as in the authors' ``blob.cpp``). What freezes is the update: the optimizer
    goes on with its momentum, and each step's end puts the frozen weights back (``sgd_solver.cpp``).

    Until the last stage the layer multiplies with its weight as it is, frozen and real ones together. The
    last quantizes all of them anew, so that the network has the levels of one largest weight and no others.
    """

    spec: options.ByFraction
    frozen: Tensor
    values: Tensor

    def __init__(self, spec: options.ByFraction, weight: Tensor) -> None:
        super().__init__(spec, weight)
        self.register_buffer("frozen", torch.zeros_like(weight, dtype=torch.bool))
        self.register_buffer("values", torch.zeros_like(weight))

    @property
    def waits(self) -> bool:
        return self.spec.share_at(self.position) < 1

    @torch.no_grad()
    def hold(self, w: Tensor, quantize: Callable[[Tensor], Tensor]) -> None:
        if self.spec.begins(self.position):
            self._freeze(w, quantize(w))
        w.copy_(torch.where(self.frozen, self.values, w))

    def _freeze(self, w: Tensor, quantized: Tensor) -> None:
        """Frozen weights count as the largest, so that as many join them as are missing."""
        share = self.spec.share_at(self.position)
        if share == 1:
            self.frozen.fill_(True)
            self.values.copy_(quantized)
            return
        rank = torch.where(self.frozen, torch.inf, w.abs()).flatten()
        chosen = torch.zeros_like(rank, dtype=torch.bool)
        chosen[rank.topk(math.ceil(share * rank.numel())).indices] = True
        joins = chosen.view(w.shape) & ~self.frozen
        self.values.copy_(torch.where(joins, quantized, self.values))
        self.frozen.logical_or_(joins)
