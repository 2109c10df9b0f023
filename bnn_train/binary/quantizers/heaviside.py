"""Codes 0 and 1."""

from __future__ import annotations

from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.binary.sign import sign
from bnn_train.packed.program import Code
from bnn_train.spec import quantizers as spec


@QUANTIZERS.builds(spec.Heaviside)
class Heaviside(Quantizer):
    """H(x) = (1 + sign(x))/2: 0 where x < 0, else 1 (the neuron of Eedn, arXiv 1603.08270). A port has 0 at x
    = 0; here the sign decides, which is +1 there."""

    code = Code(offset=1, values=(1,), denominator=2)

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return sign(x).add_(1).mul_(0.5)
