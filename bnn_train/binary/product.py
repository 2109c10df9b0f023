"""Products of quantized inputs with quantized weights, exact in whole numbers.

x̂ = u·c_x and ŵ = α·c_w with whole-number codes, so x̂ ∗ ŵ = (u·α)·(c_x ∗ c_w). The inner product is an
integer below 2²⁴ and float32 adds it without rounding, in any order: the result depends neither on
threads nor on the instruction set, equal sums stay equal, and integer kernels can reproduce it bit for bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_train.binary.signs_product import serves, signs_product
from bnn_train.binary.weights import latent_gradient, learned_gradient, quantize
from bnn_train.spec.method import WeightSpec

SIGNS = ("sign", "stochastic_sign")
"""The weight quantizers whose codes are ±1 and nothing else."""


class Geometry(NamedTuple):
    """How a convolution walks over its input."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        unit: float,
        w: Tensor,
        learned: Tensor | None,
        spec: WeightSpec,
        centered: bool,
        geometry: Geometry | None,
        signs: bool,
    ) -> Tensor:
        ctx.dtype = x.dtype
        codes, alpha = quantize(w, spec, learned)
        if not x.is_meta and torch.is_autocast_enabled(x.device.type):
            low = torch.get_autocast_dtype(x.device.type)
            # whole numbers to 256 are exact even in bfloat16; sums are not
            x, codes = x.to(low), codes.to(low)
        ctx.save_for_backward(x, w, codes, alpha)
        ctx.unit, ctx.spec, ctx.centered, ctx.geometry = unit, spec, centered, geometry
        scale = None if alpha is None else (alpha.expand(len(w), *alpha.shape[1:]) * unit).flatten()
        padding, dilation = ((0, 0), (1, 1)) if geometry is None else (geometry.padding, geometry.dilation)
        if signs and spec.quantizer in SIGNS and serves(x, codes, padding, dilation):
            return _native(x, codes, scale, geometry)
        y = F.linear(x, codes) if geometry is None else F.conv2d(x, codes, None, *geometry)
        if scale is not None:
            y.mul_(scale.view(-1, *[1] * (w.dim() - 2)))
        elif unit != 1:
            y.mul_(unit)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, w, codes, alpha = ctx.saved_tensors
        g, wanted = grads[0].to(codes.dtype), ctx.needs_input_grad
        scale = None if alpha is None else alpha.to(codes.dtype)
        grad_x, grad_w = (_linear if ctx.geometry is None else _conv)(
            g, x, codes, scale, wanted, ctx.geometry
        )
        grad_x = grad_x if grad_x is None else grad_x.to(ctx.dtype)
        grad_alpha = None
        if grad_w is not None:
            grad_w = grad_w.to(w.dtype) if ctx.unit == 1 else grad_w.to(w.dtype).mul_(ctx.unit)
            grad_alpha = learned_gradient(grad_w, codes.to(w.dtype), ctx.spec) if wanted[3] else None
            grad_w = latent_gradient(grad_w, w, alpha, ctx.spec, centered=ctx.centered)
        return grad_x, None, grad_w, grad_alpha, None, None, None, None


def _native(x: Tensor, codes: Tensor, scale: Tensor | None, geometry: Geometry | None) -> Tensor:
    """The product on the packed kernels; a dense layer is a 1×1 convolution of one pixel."""
    if geometry is not None:
        stride, padding, dilation, groups = geometry
        y: Tensor = signs_product(x, codes, scale, list(stride), list(padding), list(dilation), groups)
        return y
    y = signs_product(x[:, :, None, None], codes[:, :, None, None], scale, [1, 1], [0, 0], [1, 1], 1)
    return y.flatten(1)


Pair = tuple[Tensor | None, Tensor | None]


def _linear(
    g: Tensor, x: Tensor, codes: Tensor, alpha: Tensor | None, wanted: tuple[bool, ...], geometry: None
) -> Pair:
    """∂L/∂x̂ and ∂L/∂ŵ; α is laid on g, which is smaller than the weight."""
    scaled = g if alpha is None else g * alpha.view(1, -1)
    return (scaled @ codes if wanted[0] else None), (g.T @ x if wanted[2] else None)


def _conv(
    g: Tensor, x: Tensor, codes: Tensor, alpha: Tensor | None, wanted: tuple[bool, ...], geometry: Geometry
) -> Pair:
    """∂L/∂x̂ and ∂L/∂ŵ; α is laid on the weight, which is smaller than g."""
    weight = codes if alpha is None else codes * alpha
    stride, padding, dilation, groups = geometry
    mask = [wanted[0], wanted[2], False]
    grad_x, grad_w, _ = torch.ops.aten.convolution_backward(
        g, x, weight, None, stride, padding, dilation, False, [0, 0], groups, mask
    )
    return grad_x, grad_w


def product(
    x: Tensor,
    w: Tensor,
    spec: WeightSpec,
    *,
    unit: float,
    centered: bool,
    geometry: Geometry | None = None,
    learned: Tensor | None = None,
    signs: bool = False,
) -> Tensor:
    """x̂ ŵᵀ (N×I → N×O), or the convolution N×I×H×W → N×O×H′×W′ where ``geometry`` is given.

    ``x``: the codes of x̂ = unit·x; the gradient returned for it is that with respect to x̂.
    ``w``: the latent weight; its gradient returns as ``spec.gradient`` says. ``learned``: the numbers of a
    learned α. ``signs``: ``x`` holds only ±1; the packed kernels may then multiply on a CPU, with the same
    result.
    """
    result: Tensor = _Product.apply(x, unit, w, learned, spec, centered, geometry, signs)  # type: ignore[no-untyped-call]  # in torch
    return result
