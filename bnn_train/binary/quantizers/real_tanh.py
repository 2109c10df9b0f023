"""Real activations between −1 and 1, which a first stage of training has in the place of signs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Factors, Quantizer
from bnn_train.spec import quantizers as spec


@QUANTIZERS.builds(spec.RealTanh)
class RealTanh(Quantizer):
    """tanh(x), with its own derivative 1 − tanh²(x) and no estimator (the first stage of Real-to-Binary,
    arXiv 2003.11535 §4.2, and of Group-Net's code)."""

    refusal = (
        "has real activations (activation.quantizer: real_tanh), which belong to a first stage of training;"
        " train the stage that binarizes them and export that"
    )

    @property
    def signs(self) -> bool:
        return False

    @property
    def whole(self) -> bool:
        return False

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return torch.tanh(x)

    def coded(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> tuple[Tensor, Factors]:
        return torch.tanh(x), 1.0

    def value(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> Tensor:
        return torch.tanh(x)

    def around(
        self, start: Tensor, u0: Tensor, estimator: Estimator, prepared: Callable[[Tensor], Tensor]
    ) -> Callable[[Tensor], Tensor]:
        return lambda x: torch.tanh(prepared(x))
