"""Signs of channels whose gates are open."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.learned import Learns
from bnn_train.binary.quantizers.base import QUANTIZERS, SIGN, Dims, Factors, Quantizer, instead, through
from bnn_train.binary.sign import sign
from bnn_train.packed.program import Code
from bnn_train.spec.quantizers import GatedSign as GatedSignSpec

TERNARY = Code(values=(1, 1), denominator=2)


@QUANTIZERS.builds(GatedSignSpec)
class GatedSign(Quantizer, Learns):
    """m[c]·sign(x[c]), m[c] = 1[g[c] ≥ threshold] with a gate g for each channel, 1 at first and without
    weight decay; sign(x) where there are no gates. ∂/∂x = m·(slope of the estimator), ∂/∂g[c] = Σ sign(x[c])·
    (gradient), also while it is closed, so that it may open again.

    That redundant quantized features are learned and removed is the abstract of Widening and Squeezing (arXiv
    2002.00555); gates, their threshold and the straight-through gradient are our derivation."""

    spec: GatedSignSpec
    gate_: nn.Parameter | None
    weight_decay = 0.0

    def __init__(self, options: GatedSignSpec) -> None:
        super().__init__(options)
        self.rate = options.rate
        self.register_parameter("gate_", None)

    @property
    def code(self) -> Code:  # type: ignore[override]  # a channel that is closed has the code 0
        """Signs, with zeros among them where there are gates."""
        return SIGN if self.gate_ is None else TERNARY

    def gate(self, channels: int, like: Tensor) -> None:
        ones = torch.ones(channels, dtype=like.dtype, device=like.device)
        self.gate_ = nn.Parameter(ones, requires_grad=self.spec.learns)

    @property
    def gates(self) -> Tensor | None:
        return self.gate_

    @property
    def open(self) -> Tensor | None:
        return None if self.gate_ is None else self.gate_.detach() >= self.spec.threshold

    def drop_gates(self) -> None:
        self.gate_ = None

    @torch.no_grad()
    def initialise(self, x: Tensor | None = None) -> None:
        if self.gate_ is not None:
            self.gate_.fill_(1)

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        signs = sign(x)
        return signs if self.open is None else signs.mul_(_spread(self.open.to(x.dtype), x))

    def coded(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> tuple[Tensor, Factors]:
        return self.value(x, estimator, drawn=drawn, span=span), 1.0

    def value(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> Tensor:
        signs = through(sign(x.detach()), x, estimator)
        mask = self._mask(x.dtype)
        return signs if mask is None else signs * _spread(mask, x)

    def around(
        self, start: Tensor, u0: Tensor, estimator: Estimator, prepared: Callable[[Tensor], Tensor]
    ) -> Callable[[Tensor], Tensor]:
        signs, mask = sign(u0), self._mask(u0.dtype)
        if mask is None or self.gate_ is None:
            return lambda x: signs + estimator.piece(prepared(x), u0)
        gates, fixed, first = self.gate_, mask.detach(), self.gate_.detach().clone()
        return lambda x: (
            (signs + estimator.piece(prepared(x), u0)) * _spread(fixed + (gates - first).to(u0.dtype), x)
        )

    def _mask(self, dtype: torch.dtype) -> Tensor | None:
        """m, whose gradient is that of g."""
        if self.gate_ is None or self.open is None:
            return None
        return instead(self.open.to(self.gate_.dtype), self.gate_).to(dtype)


def _spread(numbers: Tensor, x: Tensor) -> Tensor:
    """C numbers over maps N×C×H×W or features N×C."""
    return numbers.view(-1, *[1] * (x.dim() - 2))
