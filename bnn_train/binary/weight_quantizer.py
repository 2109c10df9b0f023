"""Latent weight → the weight of the forward pass, with the gradient that returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bnn_train.binary.draws import weights_draw
from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.gradients import GAINS, GRADIENTS, Context, Near
from bnn_train.binary.pre import PRES
from bnn_train.binary.progress import PROGRESS
from bnn_train.binary.quantizers import Codes, quantizer
from bnn_train.binary.quantizers.base import instead, is_one
from bnn_train.binary.scales import SCALES
from bnn_train.spec.method import WeightSpec


class WeightQuantizer(nn.Module):
    """ŵ = α·q(pre(w)) of a layer's O×… latent weight."""

    def __init__(self, spec: WeightSpec, weight: Tensor, *, centered: bool) -> None:
        """``centered``: whether the method centres its latent weights, which the rule `official` asks."""
        super().__init__()
        self.spec, self.centered = spec, centered
        self.dims = tuple(range(0 if spec.per_layer else 1, weight.dim()))
        self.pre = PRES.build(spec.pre)
        self.quantizer = quantizer(spec.quantizer)
        self.quantizer.attach(weight, self.dims)
        self.scale = SCALES.build(spec.scale, self.prepared(weight.detach()), self.dims)
        self.estimator = ESTIMATORS.build(spec.estimator)
        self.gradient = GRADIENTS[spec.gradient]
        self.evaluates_latent = spec.evaluates_latent
        self.draws = spec.quantizer.draws or spec.quantizer.softens
        self.progress = PROGRESS.build(spec.progress, weight)

    @torch.no_grad()
    def initialise(self, w: Tensor) -> None:
        """Set what is learned to what suits the weights as they are."""
        self.pre.initialise()
        self.quantizer.initialise(self.prepared(w))
        self.quantizer.begin(w)
        self.scale.initialise(self.prepared(w), self.dims)

    @property
    def untrue(self) -> str | None:
        """The formula of a gradient that is no derivative of the loss; None for one that is."""
        return None if self.quantizer.leads_back else self.gradient.untrue

    @property
    def unit(self) -> float:
        """The worth of one unit of a code, beside α."""
        return float(self.quantizer.unit(1.0))

    @property
    def bases(self) -> int:
        """How many tensors of codes, each with factors of its own, make up the weight."""
        return self.quantizer.bases

    @property
    def bits(self) -> int:
        """Bits of a stored weight: its signs over all bases."""
        return (self.bases or 1) * len(self.quantizer.code.values)

    def prepared(self, w: Tensor) -> Tensor:
        """The quantizer's input."""
        return w if self.pre.identity else self.pre.prepare(w, self.dims)

    def observe(self, u: Tensor) -> None:
        """Let the quantizer learn from a prepared weight that a training pass has read."""
        if self.training and not self.quantizer.held:
            self.quantizer.observe(u.detach(), self.dims)

    def quantized(self, u: Tensor, *, drawn: bool = True) -> tuple[Tensor, Tensor | None]:
        """Codes of the prepared weight and α, or None where there is no factor. ``drawn``: at random where
        the quantizer draws."""
        if drawn and self.draws:
            with weights_draw(u.device):
                codes = self.quantizer.codes(u, self.dims, drawn=True)
        else:
            codes = self.quantizer.codes(u, self.dims, drawn=False)
        if self.bases:
            return codes, self.quantizer.factors(u, codes, self.dims)
        alpha = self.scale.find(u, codes, self.dims)
        if is_one(self.unit):
            return codes, alpha
        return codes, u.new_full([1] * u.dim(), self.unit) if alpha is None else alpha * self.unit

    def stated(self, u: Tensor) -> Tensor | None:
        """ŵ as its quantizer states it, for the gradient alone; None where a rule leads back."""
        if not self.quantizer.leads_back:
            return None
        return self.quantizer.near(u.detach(), self.dims, self.estimator)(u)

    def forward(self, w: Tensor) -> Tensor:
        """ŵ, shaped as ``w``; its gradient returns as the method says."""
        u = self.prepared(w)
        stated = self.stated(u)
        if stated is not None:
            codes, alpha = self.quantized(u.detach())
            return instead(Codes(codes, alpha, self.quantizer.code, self.bases).value.detach(), stated)
        result: Tensor = _Quantize.apply(u, self.scale.alpha, self)  # type: ignore[no-untyped-call]  # in torch
        self.observe(u)
        return result

    @torch.no_grad()
    def decompose(self, w: Tensor) -> Codes:
        """The deterministic codes of a weight and their factors, as an export stores them."""
        codes, alpha = self.quantized(self.prepared(w.detach()), drawn=False)
        return Codes(codes, alpha, self.quantizer.code, self.bases)

    def deterministic(self, w: Tensor) -> Tensor:
        """ŵ without a graph and without draws."""
        return self.decompose(w).value

    def latent_gradient(self, g: Tensor, u: Tensor, alpha: Tensor | None) -> Tensor:
        """∂L/∂u from g = ∂L/∂ŵ, by the method's rule and gain; shaped as ``u``."""
        context = Context(
            w=u,
            alpha=alpha if alpha is None or is_one(self.unit) else alpha / self.unit,
            estimator=self.estimator,
            dims=self.dims,
            centered=self.centered,
            bases=self.bases,
        )
        gradient = self.gradient.latent(g, context)
        gain = self.gain(u)
        return gradient if gain == 1 else gradient * gain

    def learned_gradient(self, g: Tensor, codes: Tensor) -> Tensor:
        """∂L/∂α = Σⱼ gⱼ·q(wⱼ) over the weights that share a learned α, one number for each."""
        return self.scale.learned((g * codes).sum(dim=self.dims).reshape(-1)) * self.unit

    def gain(self, w: Tensor) -> int:
        """The factor on the gradient that is no derivative."""
        return GAINS[self.spec.gain](w)

    def around(self, w0: Tensor) -> Callable[[Tensor], Tensor]:
        """The function near ``w0`` that has the value of the forward pass there, and the gradient of training
        (without the gain) for its true derivative."""
        prepared = self.pre.near(w0.detach(), self.dims)
        u0 = self.prepared(w0).detach().clone()
        if self.quantizer.leads_back:
            stated = self.quantizer.near(u0, self.dims, self.estimator)
            return lambda w: stated(self.prepared(w))
        start = self(w0).detach().clone()
        first = self._alpha(u0).detach().clone()
        codes = start if self.bases else start / first

        def near(w: Tensor) -> Tensor:
            u = prepared(w)
            now = self._alpha(u)
            learns = self.scale.alpha is not None
            return self.gradient.near(
                Near(
                    start=codes * now if learns else start,
                    codes=codes,
                    alpha=now if learns else first,
                    now=now,
                    moved=u - u0,
                    bent=self.estimator.piece(u, u0),
                    shared=w.numel() if 0 in self.dims else w[0].numel(),
                    centring=1 - 1 / w.shape[1] if self.centered else 1.0,
                )
            )

        return near

    def _alpha(self, u: Tensor) -> Tensor:
        """α of a prepared weight, over all bases; 1 where there is none."""
        codes = self.quantizer.codes(u, self.dims, drawn=False)
        own = self.quantizer.factors(u, codes, self.dims) if self.bases else None
        alpha = self.scale.find(u, codes, self.dims) if own is None else own.sum(dim=0)
        return u.new_ones(()) if alpha is None else alpha


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, learned: Tensor | None, quantizer: WeightQuantizer) -> Tensor:
        codes, alpha = quantizer.quantized(u)
        ctx.quantizer = quantizer
        ctx.save_for_backward(u, alpha, None if learned is None else codes)
        if alpha is None:
            return codes
        if quantizer.bases:
            return (codes * alpha).sum(dim=0)
        return codes * alpha if learned is not None else codes.mul_(alpha)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None]:
        u, alpha, codes = ctx.saved_tensors
        grad_alpha = None if codes is None else ctx.quantizer.learned_gradient(grads[0], codes)
        return ctx.quantizer.latent_gradient(grads[0], u, alpha), grad_alpha, None
