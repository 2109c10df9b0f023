"""Products of quantized inputs with quantized weights, exact in whole numbers.

x̂ = u·c_x and ŵ = α·c_w with whole-number codes, so x̂ ∗ ŵ = (u·α)·(c_x ∗ c_w). The inner product is an
integer below 2²⁴ and float32 adds it without rounding, in any order: the result depends neither on
threads nor on the instruction set, equal sums stay equal, and integer kernels can reproduce it bit for bit.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_train.binary.geometry import Geometry
from bnn_train.binary.quantizers.base import Factors, is_one
from bnn_train.binary.sign_gradients import input_gradient, serves_gradients, weight_gradient
from bnn_train.binary.signs_product import serves, signs_product
from bnn_train.binary.weight_quantizer import WeightQuantizer


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        unit: Factors,
        w: Tensor,
        learned: Tensor | None,
        quantizer: WeightQuantizer,
        geometry: Geometry | None,
        signs: bool,
        whole: bool,
    ) -> Tensor:
        ctx.dtype = x.dtype
        codes, alpha = quantizer.quantized(w)
        x, codes = lowered(x, codes)
        ctx.save_for_backward(x, w, codes, alpha)
        ctx.unit, ctx.quantizer, ctx.geometry = unit, quantizer, geometry
        ctx.signs = signs and quantizer.quantizer.signs
        scale = None if alpha is None else (alpha.expand(len(w), *alpha.shape[1:]) * unit).flatten()
        y = exact(x, codes, geometry, signs=ctx.signs, whole=whole and quantizer.quantizer.whole, scale=scale)
        if scale is None and not is_one(unit):
            y.mul_(unit)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, w, codes, alpha = ctx.saved_tensors
        g, wanted = grads[0].to(codes.dtype), ctx.needs_input_grad
        scale = None if alpha is None else alpha.to(codes.dtype)
        if ctx.signs and serves_gradients(x, codes, ctx.geometry):
            grad_x, grad_w = _by_tables(g, x, codes, scale, wanted, ctx.geometry)
        else:
            find = _linear if ctx.geometry is None else _conv
            grad_x, grad_w = find(g, x, codes, scale, wanted, ctx.geometry)
        grad_x = grad_x if grad_x is None else grad_x.to(ctx.dtype)
        grad_alpha = None
        if grad_w is not None:
            grad_w = grad_w.to(w.dtype) if is_one(ctx.unit) else grad_w.to(w.dtype).mul_(ctx.unit)
            grad_alpha = ctx.quantizer.learned_gradient(grad_w, codes.to(w.dtype)) if wanted[3] else None
            grad_w = ctx.quantizer.latent_gradient(grad_w, w, alpha)
        return grad_x, None, grad_w, grad_alpha, None, None, None, None


def lowered(*codes: Tensor) -> tuple[Tensor, ...]:
    """Codes in the precision that autocast asks for: whole numbers to 256 are exact even in bfloat16; sums of
    them are not."""
    first = codes[0]
    if first.is_meta or not torch.is_autocast_enabled(first.device.type):
        return codes
    low = torch.get_autocast_dtype(first.device.type)
    return tuple(c.to(low) for c in codes)


def exact(
    x: Tensor,
    codes: Tensor,
    geometry: Geometry | None,
    *,
    signs: bool,
    whole: bool,
    scale: Tensor | None = None,
) -> Tensor:
    """scale[o]·(x ∗ codes). ``signs``: both are ±1 alone, so the packed kernels may multiply; ``whole``: both
    are whole numbers."""
    padding, dilation = ((0, 0), (1, 1)) if geometry is None else (geometry.padding, geometry.dilation)
    if signs and serves(x, codes, padding, dilation):
        return _native(x, codes, scale, geometry)
    y = _of_reals(x, codes, geometry)
    if y.is_cuda and whole:
        y.round_()  # cuDNN's Winograd kernels multiply with fractions: on an H200 sums were 2·10⁻⁶ off
    return y if scale is None else y.mul_(scale.view(-1, *[1] * (codes.dim() - 2)))


def _of_reals(x: Tensor, w: Tensor, geometry: Geometry | None) -> Tensor:
    if geometry is None:
        return F.linear(x, w)
    if covers(x, w, geometry):
        return F.linear(x.flatten(1), w.flatten(1))[..., None, None]
    return F.conv2d(x, w, None, *geometry)


def covers(x: Tensor, w: Tensor, geometry: Geometry) -> bool:
    """Whether a filter reaches over its whole map, so that a convolution is a dense product; libraries are
    slow at many maps of three by three."""
    return x.shape[2:] == w.shape[2:] and not any(geometry.padding) and geometry.groups == 1


def _native(x: Tensor, codes: Tensor, scale: Tensor | None, geometry: Geometry | None) -> Tensor:
    """The product on the packed kernels; a dense layer is a 1×1 convolution of one pixel."""
    if geometry is not None:
        stride, padding, dilation, groups = geometry
        y: Tensor = signs_product(x, codes, scale, list(stride), list(padding), list(dilation), groups)
        return y
    y = signs_product(x[:, :, None, None], codes[:, :, None, None], scale, [1, 1], [0, 0], [1, 1], 1)
    return y.flatten(1)


Pair = tuple[Tensor | None, Tensor | None]


def _by_tables(
    g: Tensor,
    x: Tensor,
    codes: Tensor,
    alpha: Tensor | None,
    wanted: tuple[bool, ...],
    geometry: Geometry | None,
) -> Pair:
    """∂L/∂x̂ and ∂L/∂ŵ of a product of signs, by the packed kernels."""
    grad_x = input_gradient(g, x, codes, alpha, geometry) if wanted[0] else None
    return grad_x, (weight_gradient(g, x, codes, geometry) if wanted[2] else None)


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
    return gradients(g, x, weight, geometry, wanted_x=wanted[0], wanted_w=wanted[2])


def gradients(
    g: Tensor, x: Tensor, weight: Tensor, geometry: Geometry | None, *, wanted_x: bool, wanted_w: bool
) -> Pair:
    """∂L/∂x and ∂L/∂weight of their convolution or dense product from ``g`` = ∂L/∂y."""
    if geometry is None:
        return (g @ weight if wanted_x else None), (g.T @ x if wanted_w else None)
    if covers(x, weight, geometry):
        grad_x, grad_w = gradients(
            g.flatten(1), x.flatten(1), weight.flatten(1), None, wanted_x=wanted_x, wanted_w=wanted_w
        )
        return _shaped(grad_x, x), _shaped(grad_w, weight)
    stride, padding, dilation, groups = geometry
    grad_x, grad_w, _ = torch.ops.aten.convolution_backward(
        g, x, weight, None, stride, padding, dilation, False, [0, 0], groups, [wanted_x, wanted_w, False]
    )
    return grad_x, grad_w


def _shaped(found: Tensor | None, as_one: Tensor) -> Tensor | None:
    return None if found is None else found.view(as_one.shape)


def product(
    x: Tensor,
    w: Tensor,
    quantizer: WeightQuantizer,
    *,
    unit: Factors = 1.0,
    geometry: Geometry | None = None,
    signs: bool = False,
    whole: bool = True,
) -> Tensor:
    """x̂ ŵᵀ (N×I → N×O), or the convolution N×I×H×W → N×O×H′×W′ where ``geometry`` is given.

    ``x``: the codes of x̂ = unit·x; the gradient returned for it is that with respect to x̂. ``w``: the
    weight that the quantizer reads; its gradient returns as the quantizer's rule says. ``signs``: ``x`` holds
    only ±1; the packed kernels may then multiply on a CPU, with the same result. ``whole``: ``x`` holds whole
    numbers."""
    result: Tensor = _Product.apply(x, unit, w, quantizer.scale.alpha, quantizer, geometry, signs, whole)  # type: ignore[no-untyped-call]  # in torch
    return result
