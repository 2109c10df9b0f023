"""Weight quantizers and the ways a gradient returns to the latent weight.

O: output filters; a filter holds n weights: I·Kh·Kw of a convolution (per group), I of a dense layer.
α is O×1×… (granularity channel) or 1×1×… (layer). g is the gradient with respect to the quantized
weight ŵ = α·q(w); m = q̃′(w) is the estimator's mask or slope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bnn_train.binary.activations import stochastic_sign
from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.sign import sign
from bnn_train.spec.method import WeightSpec


def filter_dims(w: Tensor, spec: WeightSpec) -> tuple[int, ...]:
    """The axes of ``w`` over which one α reaches."""
    return tuple(range(0 if spec.scale.granularity == "layer" else 1, w.dim()))


def ternary(w: Tensor, spec: WeightSpec) -> Tensor:
    """+1 where w > Δ, −1 where w < −Δ, else 0; Δ = c·mean|w| (TWN, arXiv 1605.04711 eqs. 3 and 6)."""
    delta = w.abs().mean(dim=filter_dims(w, spec), keepdim=True).mul_(spec.threshold)
    return torch.where(w.abs() > delta, sign(w), 0.0)


CODES: dict[str, Callable[[Tensor, WeightSpec], Tensor]] = {
    "sign": lambda w, spec: sign(w),
    "stochastic_sign": lambda w, spec: stochastic_sign(w),
    "ternary": ternary,
    "stored": lambda w, spec: w.clone(),
}


def l1(w: Tensor, codes: Tensor, dims: tuple[int, ...]) -> Tensor:
    """α = ‖w‖₁/n, which minimises ‖w − α·sign(w)‖² (XNOR-Net, arXiv 1603.05279 eq. 6)."""
    return w.abs().mean(dim=dims, keepdim=True)


def l1_masked(w: Tensor, codes: Tensor, dims: tuple[int, ...]) -> Tensor:
    """α = mean |w| over the weights whose code is not 0 (TWN, arXiv 1605.04711 eq. 5)."""
    kept = codes != 0
    return w.abs().mul_(kept).sum(dim=dims, keepdim=True) / kept.sum(dim=dims, keepdim=True).clamp_(min=1)


SCALES: dict[str, Callable[[Tensor, Tensor, tuple[int, ...]], Tensor]] = {"l1": l1, "l1_masked": l1_masked}


@dataclass(frozen=True, kw_only=True)
class _Context:
    """What a weight gradient may read, besides g."""

    w: Tensor
    alpha: Tensor | None
    mask: Callable[[Tensor, Tensor], Tensor]
    dims: tuple[int, ...]
    centered: bool

    def alpha_mask(self, g: Tensor) -> Tensor:
        """α·m·g."""
        masked = self.mask(g, self.w)
        return masked if self.alpha is None else masked * self.alpha

    @property
    def count(self) -> int:
        """n, the weights that share one α."""
        return self.w.numel() if 0 in self.dims else self.w[0].numel()


def identity(g: Tensor, c: _Context) -> Tensor:
    """∂L/∂w = g: applied unchanged to the latent weight (BinaryConnect, TWN, DoReFa-Net)."""
    return g


def detached(g: Tensor, c: _Context) -> Tensor:
    """∂L/∂w = α·m·g: α a constant (Bi-Real Net's magnitude-aware gradient, arXiv 1808.00278 eq. 8)."""
    return c.alpha_mask(g)


def exact(g: Tensor, c: _Context) -> Tensor:
    """∂L/∂wᵢ = (1/n)·s(wᵢ)·Σⱼ gⱼ·s(wⱼ) + α·mᵢ·gᵢ: the chain rule through α = mean|w|, s = sign."""
    s = sign(c.w)
    shared = (g * s).sum(dim=c.dims, keepdim=True) / c.count
    return c.alpha_mask(g).addcmul_(s, shared)


def official(g: Tensor, c: _Context) -> Tensor:
    """∂L/∂wᵢ = gᵢ·(1/n + α·mᵢ)·(1 − 1/I): XNOR-Net's own code (util.lua updateBinaryGradWeight).

    The paper's formula keeps only the diagonal of the exact one; the factor (1 − 1/I), I the input
    channels, is the diagonal of the Jacobian of mean-centring and absent where the method does not centre.
    """
    result = c.alpha_mask(g).add_(g, alpha=1 / c.count)
    return result.mul_(1 - 1 / c.w.shape[1]) if c.centered else result


GRADIENTS: dict[str, Callable[[Tensor, _Context], Tensor]] = {
    f.__name__: f for f in (identity, exact, official, detached)
}


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, w: Tensor, learned: Tensor | None, spec: WeightSpec, centered: bool) -> Tensor:
        codes, alpha = quantize(w, spec, learned)
        ctx.spec, ctx.centered = spec, centered
        ctx.save_for_backward(w, alpha, None if learned is None else codes)
        if alpha is None:
            return codes
        return codes * alpha if learned is not None else codes.mul_(alpha)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        w, alpha, codes = ctx.saved_tensors
        grad_alpha = None if codes is None else learned_gradient(grads[0], codes, ctx.spec)
        return latent_gradient(grads[0], w, alpha, ctx.spec, centered=ctx.centered), grad_alpha, None, None


def quantize(w: Tensor, spec: WeightSpec, learned: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Codes in {−1, 0, +1}, shaped as ``w``, and the scale α, or None where the method has none.

    ``learned``: the numbers of a learned α, one for each filter or one for the layer.
    """
    codes = CODES[spec.quantizer](w, spec)
    if spec.scale.kind == "none":
        return codes, None
    if learned is not None:
        return codes, learned.view(-1, *[1] * (w.dim() - 1))
    return codes, SCALES[spec.scale.kind](w, codes, filter_dims(w, spec))


def learned_gradient(g: Tensor, codes: Tensor, spec: WeightSpec) -> Tensor:
    """∂L/∂α = Σⱼ gⱼ·q(wⱼ) over the weights that share a learned α, one number for each."""
    return (g * codes).sum(dim=filter_dims(codes, spec)).reshape(-1)


def latent_gradient(
    g: Tensor, w: Tensor, alpha: Tensor | None, spec: WeightSpec, *, centered: bool
) -> Tensor:
    """∂L/∂w from g = ∂L/∂ŵ, as ``spec.gradient`` and ``spec.gain`` say; shaped as ``w``."""
    context = _Context(
        w=w, alpha=alpha, mask=ESTIMATORS[spec.estimator], dims=filter_dims(w, spec), centered=centered
    )
    gradient = GRADIENTS[spec.gradient](g, context)
    return gradient * w[0].numel() if spec.gain == "fan_in" else gradient


def quantize_weight(w: Tensor, spec: WeightSpec, *, centered: bool, learned: Tensor | None = None) -> Tensor:
    """ŵ = α·q(w), shaped as ``w``; the gradient returns as ``spec.gradient`` says.

    ``centered``: whether the method centres its latent weights, which ``official`` asks. ``learned``: as in
    ``quantize``; its gradient is ``learned_gradient``.
    """
    result: Tensor = _Quantize.apply(w, learned, spec, centered)  # type: ignore[no-untyped-call]  # in torch
    return result
