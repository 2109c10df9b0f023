"""Real input of a layer → the input of its product, with the gradient that returns."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.pre import PRES
from bnn_train.binary.quantizers import Codes, quantizer
from bnn_train.binary.quantizers.base import Factors, is_one, over_inputs
from bnn_train.spec.method import ActivationSpec


class InputQuantizer(nn.Module):
    """x̂ = q(pre(x)) of N×C×H×W maps or N×…×C features."""

    def __init__(self, spec: ActivationSpec, channels: int) -> None:
        super().__init__()
        self.spec, self.channels = spec, channels
        self.pre = PRES.build(spec.pre, channels)
        self.quantizer = quantizer(spec.quantizer)
        self.estimator = ESTIMATORS.build(spec.estimator)

    @torch.no_grad()
    def initialise(self) -> None:
        """Set what is learned to where training starts."""
        self.pre.initialise()
        self.quantizer.initialise()

    @property
    def bases(self) -> int:
        """How many tensors of codes, each with a factor of its own, make up the input."""
        return self.quantizer.bases

    def prepared(self, x: Tensor) -> Tensor:
        """The quantizer's input."""
        return x if self.pre.identity else self.pre.prepare(x, ())

    def forward(self, x: Tensor) -> Tensor:
        """x̂, in the shape and dtype of ``x``; stochastic quantizers draw only while training."""
        u, span = self.prepared(x), self.pre.span()
        return self.quantizer.value(u, self.estimator, drawn=self.training, span=span)

    def padded(self, x: Tensor, border: tuple[int, int, int, int], value: int) -> Tensor:
        """x̂ with taps of the code ``value`` around it; ``border`` as ``F.pad`` has it."""
        worth = self.quantizer.border(self.pre.span())
        if not value or isinstance(worth, float):
            return F.pad(x, border, value=float(value))
        return F.pad(x, border) + F.pad(torch.zeros_like(x), border, value=float(value)) * worth

    def coded(self, x: Tensor) -> tuple[Tensor, Factors]:
        """Whole-number codes in the shape of ``x`` (after an axis of bases if there are several), and what
        multiplies them. The gradient that the codes take is that with respect to x̂."""
        return self.quantizer.coded(
            self.prepared(x), self.estimator, drawn=self.training, span=self.pre.span()
        )

    @torch.no_grad()
    def decompose(self, x: Tensor) -> Codes:
        """The deterministic codes of an input and their factors, as an export computes them."""
        u, span = self.prepared(x.detach()), self.pre.span()
        codes, factors = self.quantizer.coded(u, self.estimator, drawn=False, span=span)
        if self.bases and isinstance(factors, Tensor):
            factors = over_inputs(factors, codes)
        return Codes(codes, None if is_one(factors) else factors, self.quantizer.code, self.bases)

    def around(self, x0: Tensor) -> Callable[[Tensor], Tensor]:
        """The function near ``x0`` that has the value of the forward pass there, and the gradient of training
        for its true derivative."""
        u0 = self.prepared(x0).detach()
        return self.quantizer.around(self(x0).detach(), u0, self.estimator, self.prepared)

    def same(self, other: InputQuantizer) -> bool:
        """Whether both give the same codes for the same input: equal options, and the same learned
        numbers."""
        if (self.spec.pre, self.spec.quantizer) != (other.spec.pre, other.spec.quantizer):
            return False
        own, others = self.state_dict(), other.state_dict()
        return all(torch.equal(own[name], others[name]) for name in own)
