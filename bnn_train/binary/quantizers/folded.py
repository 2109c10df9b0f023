"""Signs of one number, each of what those before left over: sᵢ = sign(x − Σ_{j<i} vⱼ·sⱼ), x̂ = Σ vᵢ·sᵢ.

Foldable quantization of least squares (LS, arXiv 2001.02786), the residuals of HORQ (arXiv 1708.08687) and of
ReBNet (arXiv 1711.01243). s₁ decides first, so the signs read as a binary number, s₁ its highest digit, grow
with x, whatever the factors are: a file stores the thresholds of that number.

The gradient is the chain's: with m the estimator's slope at a residual r, ∂sᵢ/∂rᵢ = m(rᵢ) and
∂rᵢ₊₁/∂rᵢ = 1 − vᵢ·m(rᵢ)."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.learned import Learns
from bnn_train.binary.planes import stacked
from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Factors, Quantizer, over_inputs
from bnn_train.binary.quantizers.residuals import chain, pieces, residual_signs
from bnn_train.binary.sign import sign
from bnn_train.binary.sorting import ascending, descending
from bnn_train.spec import quantizers as options

Near = Callable[[Tensor], Tensor]


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, estimator: Estimator) -> Tensor:
        ctx.save_for_backward(x)
        ctx.estimator = estimator
        return sign(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.estimator.slope(grads[0], *ctx.saved_tensors), None


class Folded(Quantizer):
    """The chain of signs; subclasses say where its factors come from."""

    @property
    def digits(self) -> bool:  # type: ignore[override]  # a fact of this many
        """Whether a level is a number of several digits."""
        return self.bases > 1

    @abstractmethod
    def found(self, x: Tensor, inside: Tensor | None, *, drawn: bool) -> list[Tensor]:
        """v₁, v₂ …, each a number or one for each image, N×1×…; ``inside``: 0 on the padded taps of windows,
        which have no sign and stay 0."""

    def keep(self, factors: list[Tensor]) -> None:
        """Remember the factors of a training pass."""

    def chained(
        self, x: Tensor, inside: Tensor | None, estimator: Estimator, *, drawn: bool
    ) -> tuple[Tensor, Tensor]:
        """Signs and factors, the last sign first."""
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        factors = self.found(x, inside, drawn=drawn)
        if drawn and not self.held:
            self.keep(factors)
        if not any(v.requires_grad for v in factors):
            return residual_signs(x, inside, factors, estimator), torch.stack(factors[::-1])
        signs: list[Tensor] = []
        for v in factors:
            s: Tensor = _Sign.apply(x, estimator)  # type: ignore[no-untyped-call]  # in torch
            signs.insert(0, s if inside is None else s * inside)
            x = x - v * signs[0]
        return stacked(signs), torch.stack(factors[::-1])

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        x = x.detach()
        factors = [v.detach() for v in self.found(x, None, drawn=drawn)]
        return stacked([s for _, s, _ in chain(x, None, factors)][::-1])

    def coded(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> tuple[Tensor, Factors]:
        return self.chained(x, None, estimator, drawn=drawn)

    def value(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> Tensor:
        signs, factors = self.chained(x, None, estimator, drawn=drawn)
        return (signs * over_inputs(factors, signs)).sum(dim=0).to(x.dtype)

    def windowed(
        self, x: Tensor, inside: Tensor | None, estimator: Estimator, *, drawn: bool
    ) -> tuple[Tensor, Factors]:
        return self.chained(x, inside, estimator, drawn=drawn)

    def around(self, start: Tensor, u0: Tensor, estimator: Estimator, prepared: Near) -> Near:
        return self.around_windows(u0, None, estimator, prepared)

    def around_windows(self, u0: Tensor, inside: Tensor | None, estimator: Estimator, prepared: Near) -> Near:
        """As ``around``, for windows too."""
        within: Tensor | float = 1.0 if inside is None else inside
        points: list[tuple[Tensor, Tensor]] = []
        for v in self.found(u0, inside, drawn=self.training):
            points.append((u0, sign(u0) * within))
            u0 = (u0 - v * points[-1][1]).detach()

        def near(x: Tensor) -> Tensor:
            r = prepared(x)
            total = torch.zeros_like(r)
            for (r0, s0), v in zip(points, self._now(points[0][0], inside), strict=True):
                part = v * (s0 + estimator.piece(r, r0) * within)
                total, r = total + part, r - part
            return total

        return near

    def _now(self, u0: Tensor, inside: Tensor | None) -> list[Tensor]:
        return self.found(u0, inside, drawn=self.training)


class Measured(Folded):
    """Factors measured on |x| of each image (of each window, each row), constants in the gradient. Training
    measures; evaluations do so too, or take the moving average of the batches' means, which starts at the
    first batch's."""

    spec: options.Greedy | options.LeastSquares | options.LeastSquaresTernary
    average: Tensor
    seen: Tensor
    start: Sequence[float] = ()
    """The factors of N(0, 1), before the first batch."""

    def __init__(self, spec: options.Greedy | options.LeastSquares | options.LeastSquaresTernary) -> None:
        super().__init__(spec)
        self.bases, self.by_window = len(self.start), spec.by_window
        if spec.averages:
            self.register_buffer("average", torch.tensor(self.start))
            self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        else:
            self.refusal = f"the factors of {spec.name} are measured on each image; train with stat: ema"

    @torch.no_grad()
    def initialise(self, x: Tensor | None = None) -> None:
        if self.spec.averages:
            self.average.copy_(torch.tensor(self.start))
            self.seen.zero_()

    @abstractmethod
    def measure(self, m: Tensor, inside: Tensor | None) -> list[Tensor]:
        """v₁, v₂ … N×1 of magnitudes N×n; padded taps are among them, and 0."""

    def found(self, x: Tensor, inside: Tensor | None, *, drawn: bool) -> list[Tensor]:
        if self.spec.averages and not drawn:
            return list(self.average)
        measured: list[list[Tensor]] = []
        for rows in pieces(x):
            some = x.detach()[rows]
            flat = None if inside is None else inside[rows].expand_as(some).flatten(1)
            measured.append(self.measure(some.abs().flatten(1), flat))
        shape = (-1, *[1] * (x.dim() - 1))
        return [torch.cat(v).to(x.dtype).view(shape) for v in zip(*measured, strict=True)]

    @torch.no_grad()
    def keep(self, factors: list[Tensor]) -> None:
        if not self.spec.averages or not factors[0].numel():
            return
        new = torch.stack([v.mean() for v in factors]).to(self.average.dtype)
        old, momentum = self.average, self.spec.momentum
        self.average.copy_(torch.where(self.seen > 0, momentum * old + (1 - momentum) * new, new))
        self.seen.add_(1)


@QUANTIZERS.builds(options.Greedy)
class Greedy(Measured):
    """vᵢ = mean |rᵢ| of the residual rᵢ = x − Σ_{j<i} vⱼ·sⱼ: LS-1 with one sign, GF-k with k (arXiv
    2001.02786), HORQ where each window has its own (arXiv 1708.08687 §3; its gradient, Σ vᵢ·m, is our
    reading, and ours is the chain's)."""

    spec: options.Greedy

    def __init__(self, spec: options.Greedy) -> None:
        self.start = [math.sqrt(2 / math.pi) * 0.6**i for i in range(spec.bases)]
        super().__init__(spec)

    def measure(self, m: Tensor, inside: Tensor | None) -> list[Tensor]:
        factors = [m.mean(dim=1, keepdim=True)]
        while len(factors) < self.bases:
            m = (m - factors[-1]).abs_()  # |r − v·sign(r)|
            m = m if inside is None else m.mul_(inside)
            factors.append(m.mean(dim=1, keepdim=True))
        return factors


@QUANTIZERS.builds(options.LeastSquares)
class LeastSquares(Measured):
    """argmin ‖x − v₁s₁ − v₂s₂‖² (LS-2, arXiv 2001.02786): v₁ ± v₂ are the means of the |x| above and not
    above v₁. Of all places that part the sorted |x| the one with the least error, Σx² − k·low² −
    (n−k)·high², fulfils that (our derivation). v₂ = mean ||x| − v₁|."""

    spec: options.LeastSquares
    start = (0.9816, 0.5288)

    def measure(self, m: Tensor, inside: Tensor | None) -> list[Tensor]:
        some = ascending(m[:, :: self.spec.skip])
        count = some.shape[1]
        if count == 1:
            return [some, (m - some).abs().mean(dim=1, keepdim=True)]
        sums = some.cumsum(dim=1, dtype=torch.float64)
        k = torch.arange(1, count, device=m.device, dtype=torch.float64)
        low, high = sums[:, :-1] / k, (sums[:, -1:] - sums[:, :-1]) / (count - k)
        best = (low.square() * k + high.square() * (count - k)).argmax(dim=1, keepdim=True)
        first = ((low.gather(1, best) + high.gather(1, best)) / 2).to(m.dtype)
        return [first, (m - first).abs().mean(dim=1, keepdim=True)]


@QUANTIZERS.builds(options.LeastSquaresTernary)
class LeastSquaresTernary(Measured):
    """argmin ‖x − v·(s₁ + s₂)‖² (LS-T, arXiv 2001.02786): 2v is the mean of the |x| above v, and of all that
    the sorted |x| allow the one with the least error, Σx² − (Σ_high |x|)²/n_high."""

    spec: options.LeastSquaresTernary
    start = (0.6120, 0.6120)

    def measure(self, m: Tensor, inside: Tensor | None) -> list[Tensor]:
        some = descending(m[:, :: self.spec.skip])
        sums = some.cumsum(dim=1, dtype=torch.float64)
        count = torch.arange(1, some.shape[1] + 1, device=m.device, dtype=torch.float64)
        best = (sums.square() / count).argmax(dim=1, keepdim=True)
        v = (sums / count).gather(1, best).to(m.dtype) / 2
        return [v, v]


@QUANTIZERS.builds(options.ResidualSigns)
class ResidualSigns(Folded, Learns):
    """vᵢ = |γᵢ|, γ learned, from (M − i + 1)/Σ on (ReBNet, arXiv 1711.01243; authors' code). Nothing is
    detached: ∂L/∂vᵢ has the direct sᵢ and what the later residuals make of it."""

    def __init__(self, spec: options.ResidualSigns) -> None:
        super().__init__(spec)
        self.bases = spec.bases
        self.gamma = nn.Parameter(torch.zeros(spec.bases))
        self.initialise()

    @torch.no_grad()
    def initialise(self, x: Tensor | None = None) -> None:
        parts = torch.arange(self.bases, 0, -1)
        self.gamma.copy_(parts / parts.sum())

    def found(self, x: Tensor, inside: Tensor | None, *, drawn: bool) -> list[Tensor]:
        return list(self.gamma.abs())

    def border(self, span: Factors) -> Factors:
        return self.gamma.abs().sum()
