"""Activation quantizers: the real input of a binarized layer → the input of its product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.sign import sign
from bnn_train.spec.method import ActivationSpec


def hard_sigmoid(x: Tensor) -> Tensor:
    """σ(x) = clip((x + 1)/2, 0, 1) (BinaryConnect, arXiv 1511.00363 eq. 3)."""
    return x.add(1).mul_(0.5).clamp_(0, 1)


def stochastic_sign(x: Tensor) -> Tensor:
    """+1 with probability σ(x), else −1 (BinaryConnect eq. 2). Draws from torch's global generator."""
    return torch.where(torch.rand_like(x) < hard_sigmoid(x), 1.0, -1.0).to(x.dtype)


def uniform(x: Tensor, bits: int) -> Tensor:
    """n·q(x), q(x) = round(n·clip(x, 0, 1))/n, n = 2^bits − 1 (DoReFa-Net, arXiv 1606.06160 eqs. 5, 11)."""
    return x.clamp(0, 1).mul_(2**bits - 1).round_()


# Each gives whole numbers; times ``unit_of(spec)`` they are the quantized values.
QUANTIZERS: dict[str, Callable[[Tensor, ActivationSpec, bool], Tensor]] = {
    "sign": lambda x, spec, training: sign(x),
    "stochastic_sign": lambda x, spec, training: stochastic_sign(x) if training else sign(x),
    "uniform": lambda x, spec, training: uniform(x, spec.bits),
}


def unit_of(spec: ActivationSpec) -> float:
    """The value of one unit of a code: 1 for signs, 1/n for ``uniform``."""
    return 1 / (2**spec.bits - 1) if spec.quantizer == "uniform" else 1.0


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, spec: ActivationSpec, training: bool, unit: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.estimator = ESTIMATORS[spec.estimator]
        codes = QUANTIZERS[spec.quantizer](x, spec, training)
        return codes if unit == 1 else codes.mul_(unit)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.estimator(grads[0], *ctx.saved_tensors), None, None, None


def quantize_input(x: Tensor, spec: ActivationSpec, *, training: bool, codes: bool = False) -> Tensor:
    """x̂ = q(x), or with ``codes`` the whole numbers x̂/unit; shape and dtype of ``x``.

    Either way backward takes the gradient with respect to x̂ and returns it through the estimator.
    Stochastic quantizers draw only while training.
    """
    result: Tensor = _Quantize.apply(x, spec, training, 1.0 if codes else unit_of(spec))  # type: ignore[no-untyped-call]  # in torch
    return result
