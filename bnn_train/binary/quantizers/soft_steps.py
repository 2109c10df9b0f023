"""Even steps between learned ends with a soft staircase behind them (DSQ, arXiv 1908.05033)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.learned import Learns
from bnn_train.binary.planes import stacked
from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Factors, Quantizer, instead
from bnn_train.spec.quantizers import SoftSteps as SoftStepsSpec

NARROW = 1e-4
"""The least distance of the ends."""
SHARP = 1e-3
"""The least α."""


class Placed(NamedTuple):
    """Where numbers lie."""

    interval: Tensor
    """i."""
    code: Tensor
    """i or i + 1, the upper one from the middle on."""
    outside: Tensor
    """Whether they lie beyond the ends."""


@QUANTIZERS.builds(SoftStepsSpec)
class SoftSteps(Quantizer, Learns):
    """x̂ = l + Δ·(i + (sgn φ + 1)/2), Δ = (u − l)/n, n = 2^bits − 1, for x clipped to [l, u] in the interval i
    with the middle mᵢ; φ = s·tanh(k·(x − mᵢ)), s = 1/(1 − α), k = ln(2/α − 1)/Δ (DSQ eqs. 4–9), so that φ is
    ∓1 at the interval's ends. Sgn passes its gradient unchanged and all else has its true derivative: x
    through φ, and l, u and α through φ, Δ and l.

    α is clamped to (0, ½], the ends stay apart. l and u start at ∓max|w| of weights, at ∓1 for activations,
    which is our choice as is that they do not decay. As planes: n signs, the j-th +1 where the code is above
    j, each worth Δ/2, and the offset (l + u)/2; so k bits cost 2^k products with a sign.
    """

    leads_back = True
    weight_decay = 0.0
    spec: SoftStepsSpec

    def __init__(self, options: SoftStepsSpec) -> None:
        super().__init__(options)
        self.steps = 2**options.bits - 1
        self.bases = self.steps + 1
        self.lower, self.upper = nn.Parameter(-torch.ones(())), nn.Parameter(torch.ones(()))
        self.softness = nn.Parameter(torch.tensor(options.softness))

    @torch.no_grad()
    def initialise(self, x: Tensor | None = None) -> None:
        reach = torch.ones_like(self.upper) if x is None else x.abs().max().clamp(min=NARROW)
        self.lower.copy_(-reach)
        self.upper.copy_(reach)
        self.softness.fill_(self.spec.softness)

    def _step(self) -> Tensor:
        """Δ."""
        step: Tensor = (self.upper - self.lower).clamp(min=NARROW) / self.steps
        return step

    def _placed(self, x: Tensor) -> Placed:
        """NaN lies above."""
        x, lower, step = x.detach(), self.lower.detach(), self._step().detach()
        below, above = x < lower, ~(x <= lower + step * self.steps)
        interval = ((x - lower) / step).floor_().clamp_(0, self.steps - 1)
        upper_half = ~(x < lower + (interval + 0.5) * step)
        code = torch.where(below, 0.0, torch.where(above, float(self.steps), interval + upper_half))
        return Placed(interval, code.to(x.dtype), below | above)

    def _soft(self, x: Tensor, at: Placed) -> Tensor:
        """φ, a constant beyond the ends: there it is ∓1 whatever is learned."""
        alpha, step = self.softness.clamp(SHARP, 0.5), self._step()
        middle = self.lower + (at.interval + 0.5) * step
        from_middle = torch.where(at.outside, 0.0, x - middle)
        return torch.tanh(torch.log(2 / alpha - 1) / step * from_middle) / (1 - alpha)

    def _planes(self, code: Tensor) -> list[Tensor]:
        signs = [torch.where(code <= above, -1.0, 1.0).to(code.dtype) for above in range(self.steps)]
        return [*signs, torch.ones_like(code)]

    def _factors(self) -> Tensor:
        half = self._step() / 2
        return torch.stack([*[half] * self.steps, self.lower + half * self.steps])

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return stacked(self._planes(self._placed(x).code))

    def factors(self, x: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        return self._factors().view(-1, *[1] * x.dim())

    def coded(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> tuple[Tensor, Factors]:
        """Any plane of a sign can carry φ's gradient: each is worth Δ/2."""
        at = self._placed(x)
        first, *others = self._planes(at.code)
        return stacked([instead(first, self._soft(x, at)), *others]), self._factors()

    def value(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> Tensor:
        signs, factors = self.coded(x, estimator, drawn=drawn, span=span)
        return (signs * torch.as_tensor(factors).view(-1, *[1] * x.dim())).sum(dim=0)

    def near(self, u0: Tensor, dims: Dims, estimator: Estimator) -> Callable[[Tensor], Tensor]:
        at = self._placed(u0)
        soft0 = self._soft(u0, at).detach()

        def value(u: Tensor) -> Tensor:
            result: Tensor = self.lower + self._step() * (at.code + (self._soft(u, at) - soft0) / 2)
            return result

        return value

    def around(
        self, start: Tensor, u0: Tensor, estimator: Estimator, prepared: Callable[[Tensor], Tensor]
    ) -> Callable[[Tensor], Tensor]:
        near = self.near(u0, (), estimator)
        return lambda x: near(prepared(x))
