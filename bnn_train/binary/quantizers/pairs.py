"""Two values with a centre of their own (AdaBin, arXiv 2208.08084)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.learned import Learns
from bnn_train.binary.planes import stacked
from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Factors, Quantizer, through
from bnn_train.binary.sign import sign
from bnn_train.spec import quantizers as spec
from bnn_train.spec.quantizers import LearnedPair as LearnedPairSpec


def with_ones(signs: Tensor) -> Tensor:
    """Signs, and the plane of an offset: +1 everywhere."""
    return stacked([signs, torch.ones_like(signs)])


@QUANTIZERS.builds(spec.MeasuredPair)
class MeasuredPair(Quantizer):
    """ŵ = α·sign(z) + β, z = (w − β)/α, β = mean(w), α = √mean((w − β)²) (AdaBin §3.2). The gradient passes α
    and β wherever they stand, and the sign through the estimator. Equal weights give z = 0 and α = 0."""

    bases = 2
    leads_back = True

    def _standard(self, x: Tensor, dims: Dims) -> tuple[Tensor, Tensor, Tensor]:
        """z, α, β."""
        center = x.mean(dim=dims, keepdim=True)
        variance = (x - center).square().mean(dim=dims, keepdim=True)
        flat = variance == 0  # where the root has no derivative
        deviation = torch.where(flat, 1.0, variance).sqrt()
        return (x - center) / deviation, torch.where(flat, 0.0, deviation), center

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return with_ones(sign(x - x.mean(dim=dims, keepdim=True)))

    def factors(self, x: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        return torch.stack(self._standard(x, dims)[1:])

    def near(self, u0: Tensor, dims: Dims, estimator: Estimator) -> Callable[[Tensor], Tensor]:
        z0 = self._standard(u0, dims)[0].detach()
        signs = sign(z0)

        def value(u: Tensor) -> Tensor:
            z, deviation, center = self._standard(u, dims)
            return deviation * (signs + estimator.piece(z, z0)) + center

        return value


@QUANTIZERS.builds(LearnedPairSpec)
class LearnedPair(Quantizer, Learns):
    """x̂ = α·sign(u) + β (AdaBin eq. 9), or α·(sign(u) + β) as the authors' code has it; u = (x − β)/α, whose
    sign has the estimator's slope. |α| stands for α in u and beside the sign, which is the same but at u = 0.
    α and β, one of each for the layer, start at 1 and 0 and decay like real weights (the authors' code)."""

    bases = 2
    spec: LearnedPairSpec

    def __init__(self, options: LearnedPairSpec) -> None:
        super().__init__(options)
        self.distance, self.center = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(()))

    @torch.no_grad()
    def initialise(self, x: Tensor | None = None) -> None:
        self.distance.fill_(1)
        self.center.zero_()

    def _moved(self, x: Tensor) -> Tensor:
        """u, which rises with x."""
        distance = self.distance.abs()
        moved: Tensor = (x - self.center) / torch.where(distance == 0, 1.0, distance)
        return moved

    def _both(self) -> Tensor:
        """The factor of the sign, and the offset."""
        offset = self.center if self.spec.at_threshold else self.distance * self.center
        return torch.stack([self.distance.abs(), offset])

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return with_ones(sign(self._moved(x)))

    def coded(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> tuple[Tensor, Factors]:
        u = self._moved(x)
        return with_ones(through(sign(u), u, estimator)), self._both()

    def value(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> Tensor:
        u, (distance, offset) = self._moved(x), self._both()
        result: Tensor = through(sign(u), u, estimator) * distance + offset
        return result

    def around(
        self, start: Tensor, u0: Tensor, estimator: Estimator, prepared: Callable[[Tensor], Tensor]
    ) -> Callable[[Tensor], Tensor]:
        moved0 = self._moved(u0).detach()
        signs = sign(moved0)

        def near(x: Tensor) -> Tensor:
            distance, offset = self._both()
            bent: Tensor = (signs + estimator.piece(self._moved(prepared(x)), moved0)) * distance + offset
            return bent

        return near
