"""Products of real inputs with signs in training: forward pass and gradient of the input by tables of sums.

Only the weight's gradient multiplies real numbers with real ones, and stays PyTorch's. The forward pass is a
float32 sum in an order of its own, like the gradients of ``sign_gradients``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_train.binary.geometry import Geometry
from bnn_train.binary.product import gradients
from bnn_train.binary.sign_gradients import POINT, input_gradient, spread
from bnn_train.binary.training_kernel import kernel, traced
from bnn_train.binary.weight_quantizer import WeightQuantizer

FEWEST = 8
"""Images, and channels: of fewer, most of a table would stand idle."""


def serves(x: Tensor, w: Tensor, quantizer: WeightQuantizer, geometry: Geometry | None) -> bool:
    """Whether a product of ``x`` with a quantized weight of the shape of ``w`` is made here: float32 on the
    CPU, signs of one basis, one group, kernels to run it, and nobody who compiles or exports."""
    _, padding, dilation, groups = geometry or POINT
    reach = [d * (k - 1) for d, k in zip(dilation, w.shape[2:], strict=False)]
    return (
        kernel() is not None
        and x.device.type == "cpu"
        and x.dtype == w.dtype == torch.float32
        and min(len(x), x.shape[1]) >= FEWEST
        and groups == 1
        and all(p <= r for p, r in zip(padding, reach, strict=False))
        and quantizer.quantizer.signs
        and not (quantizer.bases or quantizer.quantizer.leads_back)
        and not torch.is_autocast_enabled("cpu")
        and not traced()
    )


class _RealProduct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        u: Tensor,
        learned: Tensor | None,
        quantizer: WeightQuantizer,
        geometry: Geometry | None,
    ) -> Tensor:
        codes, alpha = quantizer.quantized(u)
        ctx.save_for_backward(x, u, codes, alpha)
        ctx.quantizer, ctx.geometry = quantizer, geometry
        y = _convolved(x, codes, geometry)
        return y if alpha is None else y.mul_(alpha.reshape(-1, *[1] * (y.dim() - 2)))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, u, codes, alpha = ctx.saved_tensors
        g, wanted, quantizer = grads[0], ctx.needs_input_grad, ctx.quantizer
        grad_x = input_gradient(g, x, codes, alpha, ctx.geometry) if wanted[0] else None
        _, grad_w = gradients(g, x, codes, ctx.geometry, wanted_x=False, wanted_w=wanted[1] or wanted[2])
        if grad_w is None:
            return grad_x, None, None, None, None
        grad_alpha = quantizer.learned_gradient(grad_w, codes) if wanted[2] else None
        return grad_x, quantizer.latent_gradient(grad_w, u, alpha), grad_alpha, None, None


def _convolved(x: Tensor, codes: Tensor, geometry: Geometry | None) -> Tensor:
    """x ∗ codes. A step of several pixels is PyTorch's: most taps that meet a pixel belong to no output."""
    if geometry is None:
        return spread(x, codes)
    if tuple(geometry.stride) != (1, 1):
        return F.conv2d(x, codes, None, *geometry)
    return spread(x, codes, geometry)


def real_product(x: Tensor, w: Tensor, quantizer: WeightQuantizer, geometry: Geometry | None) -> Tensor:
    """The product of real ``x``, N×I×H×W or N×I, with the quantized ``w``, O×I×Kh×Kw or O×I."""
    u = quantizer.prepared(w)
    result: Tensor = _RealProduct.apply(x, u, quantizer.scale.alpha, quantizer, geometry)  # type: ignore[no-untyped-call]  # in torch
    quantizer.observe(u)
    return result
