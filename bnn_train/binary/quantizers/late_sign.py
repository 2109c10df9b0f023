"""Signs that are taken only when training is over."""

from __future__ import annotations

from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.binary.sign import sign
from bnn_train.spec import quantizers as spec


@QUANTIZERS.builds(spec.LateSign)
class LateSign(Quantizer):
    """x while training, so that autograd needs no estimator; sign(x) in evaluations and exports. Behind a
    tanh(ν·x) that ν sharpens these meet in the end (Self-Binarizing Networks, arXiv 1902.00730)."""

    @property
    def signs(self) -> bool:
        """Only where the signs are taken."""
        return not self.training

    @property
    def whole(self) -> bool:
        return not self.training

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return x.clone() if drawn and self.training else sign(x)
