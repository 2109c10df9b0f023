"""Products of inputs and weights with several bases of real factors.

x̂ = Σ_q g_q·a_q and ŵ = Σ_p f_p·b_p with signs a_q, b_p: y = Σ_p Σ_q (f_p[c]·g_q)·(a_q ∗ b_p), each product
of signs exact, each factor and each sum rounded once, in this order. That is how a packed file computes it
(``packed/FORMAT.md``), so both give the same numbers. A side of one basis is one term, and its factor comes
last.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bnn_train.binary.geometry import Geometry
from bnn_train.binary.product import exact, gradients, lowered
from bnn_train.binary.quantizers.base import Factors, over_inputs
from bnn_train.binary.weight_quantizer import WeightQuantizer

Terms = list[tuple[Tensor, Tensor | None]]
"""Codes of each basis and their factors."""


class _Bases(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        factors: Factors,
        w: Tensor,
        learned: Tensor | None,
        quantizer: WeightQuantizer,
        geometry: Geometry | None,
        signs: bool,
        whole: bool,
        several: bool,
        read: Tensor,
    ) -> Tensor:
        ctx.dtype, ctx.several = x.dtype, several
        codes, alpha = quantizer.quantized(read)
        x, codes = lowered(x, codes)
        spread = factors if isinstance(factors, Tensor) else w.new_tensor(factors)
        ctx.save_for_backward(x, spread, w, codes, alpha)
        ctx.quantizer, ctx.geometry = quantizer, geometry
        many = quantizer.bases > 0
        inputs: Terms = list(zip(x, spread, strict=True)) if several else [(x, None)]
        weights: Terms = (
            list(zip(codes, alpha, strict=True)) if many and alpha is not None else [(codes, None)]
        )
        signs = signs and quantizer.quantizer.signs
        y = _sum(inputs, weights, geometry, signs, whole and quantizer.quantizer.whole)
        if not several:
            y.mul_(spread)
        if not many and alpha is not None:
            y.mul_(_over_outputs(alpha, y))
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, factors, w, codes, alpha = ctx.saved_tensors
        quantizer: WeightQuantizer = ctx.quantizer
        low, wanted = codes.dtype, ctx.needs_input_grad
        factors = over_inputs(factors, x) if ctx.several else factors
        seen = _value(x, factors.to(low)) if ctx.several else x * factors.to(low)
        weight = codes if alpha is None else codes * alpha.to(low)
        weight = weight.sum(dim=0) if quantizer.bases else weight
        grad_x, grad_w = gradients(
            grads[0].to(low), seen, weight, ctx.geometry, wanted_x=wanted[0] or wanted[1], wanted_w=wanted[2]
        )
        grad_factors = grad_alpha = None
        if grad_x is not None:
            grad_x = grad_x.to(ctx.dtype)
            if ctx.several:
                if wanted[1]:
                    grad_factors = (x * grad_x).flatten(1).sum(dim=1).to(factors.dtype)
                grad_x = factors * grad_x
        if grad_w is not None:
            grad_w = grad_w.to(w.dtype)
            grad_alpha = quantizer.learned_gradient(grad_w, codes.to(w.dtype)) if wanted[3] else None
            if not quantizer.quantizer.leads_back:
                grad_w = quantizer.latent_gradient(grad_w, w, alpha)
        return grad_x, grad_factors, grad_w, grad_alpha, *[None] * 6


def _value(codes: Tensor, factors: Tensor) -> Tensor:
    """Σ_q factors[q]·codes[q]."""
    total = codes[0] * factors[0]
    for one, factor in zip(codes[1:], factors[1:], strict=True):
        total.addcmul_(one, factor)
    return total


def _sum(
    inputs: Terms,
    weights: Terms,
    geometry: Geometry | None,
    signs: bool,
    whole: bool,
) -> Tensor:
    """Σ_p Σ_q, p outside."""
    total: Tensor | None = None
    for codes, f in weights:
        for a, g in inputs:
            term = exact(a, codes, geometry, signs=signs, whole=whole)
            factor = _factor(f, g, term)
            term = term if factor is None else term.mul_(factor)
            total = term if total is None else total.add_(term)
    if total is None:
        raise ValueError("a product of no bases")
    return total


def _factor(f: Tensor | None, g: Tensor | None, y: Tensor) -> Tensor | None:
    """f_p[c]·g_q, laid out to multiply N×O×…; None for 1."""
    if f is None:
        return g
    own = _over_outputs(f, y)
    return own if g is None else own * g


def _over_outputs(f: Tensor, y: Tensor) -> Tensor:
    """Factors O×1×… or 1×1×… of filters, laid out to multiply N×O×…"""
    return f.reshape(-1, *[1] * (y.dim() - 2))


def bases_product(
    x: Tensor,
    factors: Factors,
    w: Tensor,
    quantizer: WeightQuantizer,
    *,
    bases: int,
    geometry: Geometry | None = None,
    signs: bool = False,
    whole: bool = True,
) -> Tensor:
    """The product of an input with ``bases`` bases and a weight, one of which has several.

    ``x``: Q×N×… signs with ``factors`` Q (or, without gradient, one for each image: Q×N×1×…), or the codes
    N×… of one basis with their unit. Gradients reach the signs and factors of an input of several bases by
    the chain rule, the codes of one as in ``product``.

    Where the weight's quantizer leads back itself, that with respect to ŵ goes to the ŵ that it states.
    """
    stated = quantizer.stated(w)
    result: Tensor = _Bases.apply(  # type: ignore[no-untyped-call]  # in torch
        x,
        factors,
        w if stated is None else stated,
        quantizer.scale.alpha,
        quantizer,
        geometry,
        signs,
        whole,
        bases > 0,
        w.detach(),
    )
    return result
