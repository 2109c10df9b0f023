"""Codes of the positive half of a Gaussian (HWGQ)."""

from __future__ import annotations

import torch
from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Factors, Quantizer
from bnn_train.packed.program import Code
from bnn_train.spec.quantizers import HalfWave as HalfWaveSpec


@QUANTIZERS.builds(HalfWaveSpec)
class HalfWave(Quantizer):
    """0 where x ≤ 0, else the nearest of d, 2d, … n·d, n = 2^bits − 1, the lower one at a midpoint: every
    number above 0 becomes at least d (HWGQ, arXiv 1702.00953 eq. 7; the authors' quant_layer.cpp)."""

    spec: HalfWaveSpec

    def __init__(self, options: HalfWaveSpec) -> None:
        super().__init__(options)
        steps = 2**options.bits - 1
        self.code = Code(offset=steps, values=tuple(2**p for p in range(options.bits)), denominator=2)
        self.bounds = (0.0, *((j + 0.5) * options.step for j in range(1, steps)))

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        codes = torch.zeros_like(x)
        for bound in self.bounds:
            codes.add_(~(x <= bound))  # NaN passes every threshold
        return codes

    def unit(self, span: Factors) -> Factors:
        return self.spec.step
