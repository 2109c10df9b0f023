"""Codes that are powers of two."""

from __future__ import annotations

import torch
from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.binary.shift_norm import power_below
from bnn_train.binary.sign import sign
from bnn_train.packed.program import Code
from bnn_train.spec import quantizers as spec


@QUANTIZERS.builds(spec.Powers)
class Powers(Quantizer):
    """0, ±1, ±2, … ±2^(E − 1), E = 2^(b − 2), in units of 2^n₂ (INQ, arXiv 1702.03044 eqs. 2–4).

    With n₁ = ⌊log₂(4·max|w|/3)⌋ and n₂ = n₁ + 1 − E, a weight becomes the level β with (α + β)/2 ≤ |w| and
    |w| < 3β/2, α the level below.

    At an exact midpoint that is the larger level; the authors' ``power2.cpp`` keeps the smaller one. b bits
    are 2^(b − 1) + 1 levels, of which 5 bits span 8 powers.
    """

    def __init__(self, spec: spec.Powers) -> None:
        super().__init__(spec)
        self.powers = 2 ** (spec.bits - 2)
        if spec.bits > 4:
            self.refusal = (
                f"its weights are powers of two from 1 to {2 ** (self.powers - 1)} units ({spec.bits} bits);"
                " a packed file has planes for at most 4 bits: set method.weight.quantizer.bits"
            )
        else:  # 1, 1, 2, 4, …: every whole number from −2^(E − 1) to 2^(E − 1), the levels among them
            self.code = Code(values=(1, *(2**p for p in range(self.powers))), denominator=2)

    @property
    def signs(self) -> bool:
        return False  # of five bits no code is told

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        top = power_below(4 * x.abs().amax(dim=dims, keepdim=True) / 3)
        units = x.abs() * (2 ** (self.powers - 1) / top)
        level = power_below(4 * units / 3).clamp_(1, 2 ** (self.powers - 1))
        return torch.where(units >= 0.5, sign(x) * level, 0.0)
