"""Evenly spaced codes 0 … 2^bits − 1."""

from __future__ import annotations

from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Factors, Quantizer
from bnn_train.packed.program import Code
from bnn_train.spec.quantizers import Uniform as UniformSpec


@QUANTIZERS.builds(UniformSpec)
class Uniform(Quantizer):
    """round(n·clip(x, 0, 1)), n = 2^bits − 1; each unit is worth 1/n (DoReFa-Net, arXiv 1606.06160 eqs. 5,
    11).

    Behind a clip to [0, span], x/span is rounded and a unit is worth span/n.
    """

    def __init__(self, spec: UniformSpec) -> None:
        super().__init__(spec)
        bits = spec.bits
        self.steps = 2**bits - 1
        self.code = Code(offset=self.steps, values=tuple(2**p for p in range(bits)), denominator=2)

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return x.clamp(0, 1).mul_(self.steps).round_()

    def unit(self, span: Factors) -> Factors:
        unit: Factors = span / self.steps
        return unit
