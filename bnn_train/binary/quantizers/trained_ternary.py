"""Two learned values and 0 (TTQ, arXiv 1612.01064)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.learned import Learns
from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.spec.quantizers import TrainedTernary as TrainedTernarySpec


@QUANTIZERS.builds(TrainedTernarySpec)
class TrainedTernary(Quantizer, Learns):
    """ŵ = W_p where w > Δ, −W_n where w < −Δ, else 0; Δ = t·max|w|, a constant in the gradient (eqs. 6, 9).
    ∂L/∂W_p = Σ_{w > Δ} g, ∂L/∂W_n = −Σ_{w < −Δ} g (the paper's eq. 7 prints + for both; W_n stands behind a
    minus sign), ∂L/∂w = W_p·g, g, W_n·g above, inside and below (eq. 8).

    As planes ŵ = W_p/2·s₁ + W_n/2·s₂ + (W_p − W_n)/2, s₁ = +1 where w > Δ and s₂ = −1 where w < −Δ: the
    offset is a plane that is +1 everywhere. W_p and W_n start at 1, without weight decay, which is our
    choice.
    """

    bases = 3
    leads_back = True
    weight_decay = 0.0
    spec: TrainedTernarySpec

    def __init__(self, options: TrainedTernarySpec) -> None:
        super().__init__(options)
        self.positive, self.negative = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(()))

    def initialise(self, x: Tensor | None = None) -> None:
        nn.init.ones_(self.positive)
        nn.init.ones_(self.negative)

    def _zones(self, x: Tensor, dims: Dims) -> tuple[Tensor, Tensor]:
        """1 where w > Δ, and 1 where w < −Δ."""
        delta = x.abs().amax(dim=dims, keepdim=True) * self.spec.threshold
        return (x > delta).to(x.dtype), (x < -delta).to(x.dtype)

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        above, below = self._zones(x, dims)
        return torch.stack([2 * above - 1, 1 - 2 * below, torch.ones_like(x)])

    def factors(self, x: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        halves = torch.stack([self.positive, self.negative, self.positive - self.negative]) / 2
        return halves.view(-1, *[1] * x.dim())

    def near(self, u0: Tensor, dims: Dims, estimator: Estimator) -> Callable[[Tensor], Tensor]:
        above, below = self._zones(u0, dims)
        slope = (1 + above * (self.positive - 1) + below * (self.negative - 1)).detach()
        return lambda u: self.positive * above - self.negative * below + slope * (u - u0)
