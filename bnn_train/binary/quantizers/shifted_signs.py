"""Several signs of one number, each with a threshold and a real factor (ABC-Net, arXiv 1711.11294)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.learned import Learns
from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Factors, Quantizer
from bnn_train.binary.sign import sign
from bnn_train.spec import quantizers as spec

RIDGE = 1e-8
"""Added to BᵀB, which is singular where two bases are equal."""


def spread(count: int) -> list[float]:
    """Numbers from −1 to 1 at equal distances; 0 where there is one (eq. 2)."""
    return [0.0] if count == 1 else [2 * i / (count - 1) - 1 for i in range(count)]


@QUANTIZERS.builds(spec.ShiftedSigns)
class ShiftedSigns(Quantizer):
    """Bᵢ = sign(w − mean(w) + uᵢ·std(w)), uᵢ from −1 to 1 (eq. 2); ŵ = Σ αᵢ·Bᵢ with α = argmin ‖w − Σ αᵢ·Bᵢ‖²
    (eq. 4), found anew at each step. The estimator's slope m is that of each basis: ∂L/∂w = Σ αᵢ·m·g (eq.
    6)."""

    def __init__(self, spec: spec.ShiftedSigns) -> None:
        super().__init__(spec)
        self.bases = spec.bases

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        centred = x - x.mean(dim=dims, keepdim=True)
        deviation = centred.square().mean(dim=dims, keepdim=True).sqrt()
        return torch.stack([sign(centred + u * deviation) for u in spread(self.bases)])

    def factors(self, x: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        """M×O×1×… or, for the layer, M×1×1×…; in float64, which autocast leaves alone."""
        groups = 1 if 0 in dims else len(x)
        bases = codes.reshape(self.bases, groups, -1).transpose(0, 1).double()  # G M n
        gram = bases @ bases.transpose(1, 2) + RIDGE * torch.eye(
            self.bases, device=x.device, dtype=torch.float64
        )
        wanted = bases @ x.reshape(groups, -1, 1).double()
        alpha, _ = torch.linalg.solve_ex(gram, wanted)  # checks nothing, so it waits for no device
        per_basis: Tensor = alpha.to(x.dtype).view(groups, self.bases).T
        return per_basis.reshape(self.bases, groups, *[1] * (x.dim() - 1))


@QUANTIZERS.builds(spec.LearnedSigns)
class LearnedSigns(Quantizer, Learns):
    """Aᵢ = sign(x + νᵢ − ½), x̂ = Σ βᵢ·Aᵢ, ν and β learned (eqs. 8–10): ∂Aᵢ/∂x = ∂Aᵢ/∂νᵢ is the estimator's
    slope at x + νᵢ. They start evenly spread over [−½, ½], and at 1/N, which is our choice; no weight
    decay."""

    weight_decay = 0.0

    def __init__(self, spec: spec.LearnedSigns) -> None:
        super().__init__(spec)
        self.bases = spec.bases
        self.shifts = nn.Parameter(torch.zeros(spec.bases))
        self.weights = nn.Parameter(torch.zeros(spec.bases))
        self.initialise()

    @torch.no_grad()
    def initialise(self, x: Tensor | None = None) -> None:
        self.shifts.copy_(torch.tensor(spread(self.bases)) / 2)
        self.weights.fill_(1 / self.bases)

    def _moved(self, x: Tensor) -> Tensor:
        """x + νᵢ, Q×…"""
        return x + self.shifts.view(-1, *[1] * x.dim())

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return sign(self._moved(x) - 0.5)

    def coded(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> tuple[Tensor, Factors]:
        signs: Tensor = _SignsOf.apply(self._moved(x), estimator)  # type: ignore[no-untyped-call]  # in torch
        return signs, self.weights

    def border(self, span: Factors) -> Factors:
        return self.weights.sum()

    def value(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> Tensor:
        signs, weights = self.coded(x, estimator, drawn=drawn, span=span)
        return _weighted(signs, torch.as_tensor(weights))

    def around(
        self, start: Tensor, u0: Tensor, estimator: Estimator, prepared: Callable[[Tensor], Tensor]
    ) -> Callable[[Tensor], Tensor]:
        moved0 = self._moved(u0).detach()
        signs0 = sign(moved0 - 0.5)

        def near(x: Tensor) -> Tensor:
            signs = signs0 + estimator.piece(self._moved(prepared(x)), moved0)
            return _weighted(signs, self.weights)

        return near


def _weighted(signs: Tensor, weights: Tensor) -> Tensor:
    return (signs * weights.view(-1, *[1] * (signs.dim() - 1))).sum(dim=0)


class _SignsOf(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, moved: Tensor, estimator: Estimator) -> Tensor:
        ctx.save_for_backward(moved)
        ctx.estimator = estimator
        return sign(moved - 0.5)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.estimator.slope(grads[0], *ctx.saved_tensors), None
