"""Fixed point with a range that follows the numbers, for weights and activations."""

from __future__ import annotations

import torch
from torch import Tensor

from bnn_train.binary.fixed_point import Grid
from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.packed.program import Code
from bnn_train.spec.quantizers import FixedPoint as Options


@QUANTIZERS.builds(Options)
class FixedPoint(Quantizer):
    """The numbers of a ``Grid`` (Courbariaux et al., arXiv 1412.7024). As a weight: the product reads
    ``bits``, and what is stored after each step has ``update_bits`` of the same range, by which it moves."""

    code = Code(values=(1, 1), denominator=2)
    refusal = (
        "its numbers have some ten bits each and no bit planes, so the packed program has no product for"
        " them; keep the run's checkpoint"
    )
    spec: Options

    def __init__(self, spec: Options) -> None:
        super().__init__(spec)
        self.grid = Grid(spec)

    @property
    def whole(self) -> bool:
        return False

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        if drawn:  # a training pass over activations
            self.grid.find(x)
        q = self.grid.quantized(x)
        if drawn:
            self.grid.follow(q)
        return q

    @torch.no_grad()
    def store(self, w: Tensor) -> None:
        self.grid.find(w)
        w.copy_(self.grid.quantized(w, self.spec.update_bits))
        self.grid.follow(w, self.spec.update_bits)

    def bytes_of(self, weight: Tensor) -> int:
        return -(-weight.numel() * (self.spec.bits + 1) // 8)
