"""The nearest of the 2^K sums of a basis that follows the data by least squares (LQ-Nets, arXiv 1807.10029).

QEM, one turn a training step: with the codes B of the present basis, v_new = (BᵀB + εI)⁻¹(Bᵀx + εv), then
v ← m·v + (1 − m)·v_new. The pass itself has the basis from before, evaluations the last one (authors' code).
A basis is kept in the order of its magnitudes, which changes no level."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.planes import row, stacked
from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Factors, Quantizer
from bnn_train.spec import quantizers as options

QUANTILE = 0.6745
"""Of N(0, 1): half of it lies within; the authors' start."""
RIDGE = 1e-4
"""ε: a basis number that no code uses stays as it is. The authors have it for weights; for activations it is
ours."""


class _Levels(Quantizer):
    """Codes and basis of groups of numbers that share one."""

    spec: options.Levels | options.UnsignedLevels
    basis: Tensor
    """K×G."""
    patterns: Tensor
    """2^K×K signs: row j has the binary digits of j, lowest first."""

    def __init__(self, spec: options.Levels | options.UnsignedLevels) -> None:
        super().__init__(spec)
        places = torch.arange(2**spec.bases)
        digits = torch.stack([places >> p & 1 for p in range(spec.bases)], dim=1)
        self.register_buffer("patterns", 2.0 * digits - 1, persistent=False)

    def doubling(self) -> Tensor:
        """2⁰ … 2^{K−1}, K×1."""
        return torch.arange(self.spec.bases)[:, None].exp2()

    def nearest(self, x: Tensor, centre: Tensor | float, factors: Tensor) -> list[Tensor]:
        """Of each basis the signs, in the shape of x, of the level nearest to a number, centre + Σ
        factors·sign; halfway it is the upper one. ``factors``: K×G, G the first axis of x or 1."""
        patterns = self.patterns.to(factors)
        levels, order = (patterns @ factors).sort(dim=0, stable=True)
        limits = (levels[1:] + levels[:-1]) / 2 + centre
        ranked = patterns[order].to(x)  # 2^K×G×K, the least level first
        over = (-1, *[1] * (x.dim() - 1))
        signs = [torch.zeros_like(x).add_(first.view(over)) for first in ranked[0].T]
        for limit, turns in zip(limits, ranked[1:] - ranked[:-1], strict=True):
            above = (~(x < limit.view(over))).to(x.dtype)
            for sign, turn in zip(signs, turns.T, strict=True):
                sign.addcmul_(above, turn.view(over))
        return signs

    def follow(self, x: Tensor, codes: Tensor, basis: Tensor) -> None:
        """A turn of QEM on numbers G×n with codes K×G×n."""
        b, v = codes.transpose(0, 1).double(), basis.T[..., None].double()
        ridge = RIDGE * torch.eye(self.spec.bases, device=x.device, dtype=torch.float64)
        wanted = b @ x[..., None].double() + RIDGE * v
        new, _ = torch.linalg.solve_ex(b @ b.transpose(1, 2) + ridge, wanted)  # waits for no device
        mixed = self.spec.momentum * v + (1 - self.spec.momentum) * new
        mixed = mixed.squeeze(-1).T.to(basis.dtype)
        self.basis.copy_(mixed.gather(0, mixed.abs().argsort(dim=0, stable=True)))


@QUANTIZERS.builds(options.Levels)
class Levels(_Levels):
    """ŵ = Σ vᵢ·sᵢ, s ∈ {±1}, v of each filter; it starts at vⱼ = 2^j·0.6745·√(2/n)/2^{K−1}, n the taps times
    the output channels. The weight's gradient is the method's; the authors have the identity."""

    def __init__(self, spec: options.Levels) -> None:
        super().__init__(spec)
        self.bases = spec.bases

    def attach(self, weight: Tensor, dims: Dims) -> None:
        self.n = weight[0, 0].numel() * len(weight)
        groups = 1 if 0 in dims else len(weight)
        self.register_buffer("basis", self._start().repeat(1, groups).to(weight))

    def _start(self) -> Tensor:
        start: Tensor = self.doubling() * (QUANTILE * math.sqrt(2 / self.n) / 2 ** (self.spec.bases - 1))
        return start

    @torch.no_grad()
    def initialise(self, x: Tensor | None = None) -> None:
        self.basis.copy_(self._start().expand_as(self.basis))

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return stacked(self.nearest(x, 0.0, self.basis.abs()))

    def factors(self, x: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        return self.basis.abs().reshape(*self.basis.shape, *[1] * (x.dim() - 1))

    @torch.no_grad()
    def observe(self, x: Tensor, dims: Dims) -> None:
        groups, basis = self.basis.shape[1], self.basis.abs()
        codes = torch.stack([signs.reshape(groups, -1) for signs in self.nearest(x, 0.0, basis)])
        self.follow(x.reshape(groups, -1), codes, basis)


@QUANTIZERS.builds(options.UnsignedLevels)
class UnsignedLevels(_Levels):
    """x̂ = Σ vᵢ·bᵢ, b ∈ {0, 1}, one v for the layer, from vⱼ = 2^j·2·0.6745/(2^K − 1) on; ∂x̂/∂x = 1 up to the
    highest level, 0 beyond. As signs, x̂ = ½Σvᵢ + Σ ½|vᵢ|·sᵢ, and the summand is a basis whose sign is
    always +1: it carries the gradient."""

    digits = True

    def __init__(self, spec: options.UnsignedLevels) -> None:
        super().__init__(spec)
        self.bases = spec.bases + 1
        self.register_buffer("basis", self._start())

    def _start(self) -> Tensor:
        start: Tensor = self.doubling() * (2 * QUANTILE / (2**self.spec.bases - 1))
        return start

    @torch.no_grad()
    def initialise(self, x: Tensor | None = None) -> None:
        self.basis.copy_(self._start())

    @property
    def refusal(self) -> str:  # type: ignore[override]  # a fact of the basis as it is
        """Levels in another order than the binary numbers of their signs."""
        if self.basis.is_meta:  # has no numbers yet
            return ""
        sums = self.patterns.to(self.basis) @ self.basis.abs()
        if bool((sums[1:] >= sums[:-1]).all()):
            return ""
        numbers = ", ".join(f"{v:.3g}" for v in self.basis.abs().flatten().tolist())
        return f"the sums of its basis {numbers} interleave, and the file numbers levels in binary"

    def parts(self) -> Tensor:
        """½|v₁| … ½|v_K|, ½Σv."""
        return torch.cat([self.basis.abs(), self.basis.sum(dim=0, keepdim=True)]).flatten() / 2

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        parts = self.parts()
        return stacked([*self.nearest(x.detach(), parts[-1], parts[:-1, None]), torch.ones_like(x)])

    @torch.no_grad()
    def _observe(self, x: Tensor, signs: Tensor) -> None:
        sides = torch.where(self.basis < 0, -1.0, 1.0).to(signs)
        bits = (torch.stack([row(plane) for plane in signs[:-1]]) * sides[..., None] + 1) / 2
        self.follow(row(x), bits, self.basis)

    def coded(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> tuple[Tensor, Factors]:
        signs, parts = self.codes(x, (), drawn=drawn), self.parts()
        inside = x.detach() <= parts.sum()
        result: Tensor = _Carried.apply(x, signs, inside, parts[-1], estimator)  # type: ignore[no-untyped-call]  # in torch
        if drawn and not self.held:
            self._observe(x.detach(), signs)
        return result, parts

    def value(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> Tensor:
        signs, parts = self.coded(x, estimator, drawn=drawn, span=span)
        return (signs * torch.as_tensor(parts).view(-1, *[1] * x.dim())).sum(dim=0)

    def around(
        self, start: Tensor, u0: Tensor, estimator: Estimator, prepared: Callable[[Tensor], Tensor]
    ) -> Callable[[Tensor], Tensor]:
        inside = u0 <= self.parts().sum()
        return lambda x: start + estimator.piece(prepared(x), u0) * inside


class _Carried(torch.autograd.Function):
    """Signs whose last, worth ``worth``, carries the whole gradient."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, signs: Tensor, inside: Tensor, worth: Tensor, estimator: Estimator
    ) -> Tensor:
        ctx.save_for_backward(x, inside, worth)
        ctx.estimator = estimator
        return signs.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, inside, worth = ctx.saved_tensors
        g = grads[0][-1] * inside / torch.where(worth == 0, 1.0, worth)
        return ctx.estimator.slope(g.to(x.dtype), x), None, None, None, None
