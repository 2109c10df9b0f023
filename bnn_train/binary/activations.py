"""Activation quantizers: the real input of a binarized layer → the input of its product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.sign import sign
from bnn_train.binary.spec import ActivationSpec


def hard_sigmoid(x: Tensor) -> Tensor:
    """σ(x) = clip((x + 1)/2, 0, 1) (BinaryConnect, arXiv 1511.00363 eq. 3)."""
    return x.add(1).mul_(0.5).clamp_(0, 1)


def stochastic_sign(x: Tensor) -> Tensor:
    """+1 with probability σ(x), else −1 (BinaryConnect eq. 2). Draws from torch's global generator."""
    return torch.where(torch.rand_like(x) < hard_sigmoid(x), 1.0, -1.0).to(x.dtype)


def uniform(x: Tensor, bits: int) -> Tensor:
    """round(n·clip(x, 0, 1))/n with n = 2^bits − 1 (DoReFa-Net, arXiv 1606.06160 eqs. 5 and 11)."""
    steps = 2**bits - 1
    return x.clamp(0, 1).mul_(steps).round_().div_(steps)


QUANTIZERS: dict[str, Callable[[Tensor, ActivationSpec, bool], Tensor]] = {
    "sign": lambda x, spec, training: sign(x),
    "stochastic_sign": lambda x, spec, training: stochastic_sign(x) if training else sign(x),
    "uniform": lambda x, spec, training: uniform(x, spec.bits),
}


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, spec: ActivationSpec, training: bool) -> Tensor:
        ctx.save_for_backward(x)
        ctx.estimator = ESTIMATORS[spec.estimator]
        return QUANTIZERS[spec.quantizer](x, spec, training)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return ctx.estimator(grads[0], *ctx.saved_tensors), None, None


def quantize_input(x: Tensor, spec: ActivationSpec, *, training: bool) -> Tensor:
    """``x`` through the quantizer that ``spec`` names; the gradient through its estimator.

    Stochastic quantizers draw only while training. Any shape; the result has the shape of ``x``.
    """
    result: Tensor = _Quantize.apply(x, spec, training)  # type: ignore[no-untyped-call]
    return result
