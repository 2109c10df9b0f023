"""Evenly spaced levels on both sides of 0, for weights in [−1, 1]."""

from __future__ import annotations

from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, SIGN, Dims, Factors, Quantizer
from bnn_train.binary.sign import sign
from bnn_train.packed.program import Code
from bnn_train.spec import quantizers as spec


@QUANTIZERS.builds(spec.SignedUniform)
class SignedUniform(Quantizer):
    """2·q((w + 1)/2) − 1, q(r) = round(n·r)/n, n = 2^bits − 1 (DoReFa-Net, arXiv 1606.06160 eq. 9): the odd
    codes −n, −n + 2, … n, a unit of which is worth 1/n. One bit is the sign."""

    steps: int

    def __init__(self, options: spec.SignedUniform) -> None:
        super().__init__(options)
        self.steps = 2**options.bits - 1
        self.code = Code(values=tuple(2**p for p in range(options.bits)))

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        if self.steps == 1:
            return sign(x)
        return x.clamp(-1, 1).add_(1).mul_(self.steps / 2).round_().mul_(2).sub_(self.steps)

    def unit(self, span: Factors) -> Factors:
        return 1.0 / float(self.steps)


@QUANTIZERS.builds(spec.SymmetricUniform)
class SymmetricUniform(Quantizer):
    """round(m·clip(w, −1, 1))/m, m = 2^(bits − 1) − 1: the codes −m … m, a unit of which is worth 1/m (WRPN,
    arXiv 1709.01134 §4, as Distiller's pages state it). With 1 bit m is 0 and the code the sign, which is our
    reading."""

    steps: int

    def __init__(self, options: spec.SymmetricUniform) -> None:
        super().__init__(options)
        self.steps = 2 ** (options.bits - 1) - 1
        digits = tuple(2**p for p in range(options.bits - 1))
        self.code = Code(values=(*digits, self.steps), denominator=2) if digits else SIGN

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return x.clamp(-1, 1).mul_(self.steps).round_() if self.steps else sign(x)

    def unit(self, span: Factors) -> Factors:
        return 1.0 / float(max(self.steps, 1))
