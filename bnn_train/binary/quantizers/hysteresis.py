"""Ternary codes that hold on to what they were."""

from __future__ import annotations

import torch
from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.binary.sign import sign
from bnn_train.packed.program import Code
from bnn_train.spec import quantizers as spec


@QUANTIZERS.builds(spec.Hysteresis)
class Hysteresis(Quantizer):
    """sign(w) where |w| ≥ ½ + h, 0 where |w| ≤ ½ − h, between them the last code, even if the sign has
    changed (Eedn, arXiv 1603.08270; our reading). The last codes begin as the nearest ones and move on in
    each pass of training; a second look at the same weights changes nothing, so that evaluations need not
    write."""

    code = Code(values=(1, 1), denominator=2)
    spec: spec.Hysteresis
    last: Tensor
    """int8, in the shape of the weight."""

    def attach(self, weight: Tensor, dims: Dims) -> None:
        self.register_buffer("last", torch.zeros_like(weight, dtype=torch.int8))

    @torch.no_grad()
    def initialise(self, x: Tensor | None = None) -> None:
        if x is not None:
            self.last.copy_(x.round().clamp_(-1, 1))

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        size, band = x.abs(), self.spec.band
        codes = torch.where(size >= 0.5 + band, sign(x), self.last.to(x.dtype))
        codes.masked_fill_(size <= 0.5 - band, 0)
        if drawn and self.training:
            self.last.copy_(codes)
        return codes
