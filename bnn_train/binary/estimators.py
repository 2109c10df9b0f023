"""Gradient estimators: the derivative that stands in for a quantizer's, which is 0 almost everywhere.

Value and slope stand side by side: ``slope`` is what a backward pass multiplies with, ``piece`` the function
whose derivative it is, so that finite differences can tell whether training follows the gradient that it
claims."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from bnn_train.binary import passes
from bnn_train.binary.fixed_point import Grid
from bnn_train.binary.placed import Placed
from bnn_train.binary.tables import Table
from bnn_train.spec import estimators as spec


class Estimator(Placed, ABC):
    """A stand-in derivative q̃′ and its antiderivative A."""

    masks = False
    """Whether numbers far from 0 get no gradient at all."""

    def __init__(self, spec: object) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def slope(self, g: Tensor, x: Tensor) -> Tensor:
        """g · q̃′(x), for the upstream gradient ``g`` and the quantizer's input ``x``."""

    @abstractmethod
    def piece(self, x: Tensor, x0: Tensor) -> Tensor:
        """A(x) − A(x₀) on the piece of A that holds x₀.

        A norm over few images puts numbers on both sides of ±1 within 10⁻⁶, which a difference would jump
        over."""


ESTIMATORS: Table[Estimator] = Table()


def window(g: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """g where low < x < high, else 0, also where x is NaN. There torch's fused kernel alone gives 0 in the
    lanes of a vector, and g in the rest of a tensor."""
    if passes.serves(g, x):
        return passes.window(g, x, low, high)
    x = torch.nan_to_num(x, nan=math.inf, posinf=math.inf, neginf=-math.inf)
    return torch.ops.aten.hardtanh_backward(g, x, low, high)  # type: ignore[no-any-return]  # an operator


def above(bound: float, dtype: torch.dtype) -> float:
    """The first number above a bound, in a dtype: an open window up to there holds the bound."""
    spacing = torch.finfo(dtype).eps * 2.0 ** (math.frexp(bound)[1] - 1)
    return (round(bound / spacing) + 1) * spacing


def line(x: Tensor, x0: Tensor, inside: Tensor) -> Tensor:
    """Slope 1 inside, 0 outside: the antiderivative of a window."""
    return (x - x0) * inside


@ESTIMATORS.builds(spec.Identity)
class Identity(Estimator):
    """g: the plain straight-through estimator."""

    def slope(self, g: Tensor, x: Tensor) -> Tensor:
        return g

    def piece(self, x: Tensor, x0: Tensor) -> Tensor:
        return x - x0


class Window(Estimator):
    """g inside an interval, 0 outside: the derivative of a clip."""

    masks = True

    @abstractmethod
    def ends(self, dtype: torch.dtype) -> tuple[float, float]:
        """The open interval, for numbers of a dtype."""

    def slope(self, g: Tensor, x: Tensor) -> Tensor:
        return window(g, x, *self.ends(x.dtype))

    def piece(self, x: Tensor, x0: Tensor) -> Tensor:
        low, high = self.ends(x0.dtype)
        return line(x, x0, (x0 > low) & (x0 < high))


@ESTIMATORS.builds(spec.Clip)
class Clip(Window):
    """g · 1[|x| ≤ b], b = 1 the derivative of Htanh (BNN, arXiv 1602.02830 eq. 4)."""

    spec: spec.Clip

    def ends(self, dtype: torch.dtype) -> tuple[float, float]:
        beyond = above(self.spec.bound, dtype)
        return -beyond, beyond


@ESTIMATORS.builds(spec.ClipOpen)
class ClipOpen(Window):
    """g · 1[|x| < 1], as XNOR-Net's official code cancels (BinActiveZ, updateBinaryGradWeight)."""

    def ends(self, dtype: torch.dtype) -> tuple[float, float]:
        return -1.0, 1.0


@ESTIMATORS.builds(spec.ApproxSign)
class ApproxSign(Estimator):
    """g · max(0, 2 − 2|x|), the derivative of ApproxSign (Bi-Real Net, arXiv 1808.00278 eq. 9)."""

    masks = True

    def slope(self, g: Tensor, x: Tensor) -> Tensor:
        return x.abs().mul_(-2).add_(2).clamp_(min=0).mul_(g)

    def piece(self, x: Tensor, x0: Tensor) -> Tensor:
        """Of −1, 2x + x², 2x − x², 1 with bounds −1, 0, 1 (eq. 8)."""
        side = x0.sign()
        return ((2 * x - side * x.square()) - (2 * x0 - side * x0.square())) * (x0.abs() < 1)


@ESTIMATORS.builds(spec.Unit)
class Unit(Window):
    """g · 1[0 ≤ x ≤ 1], the derivative of clipping to [0, 1] (DoReFa-Net, arXiv 1606.06160 §2.3)."""

    def ends(self, dtype: torch.dtype) -> tuple[float, float]:
        info = torch.finfo(dtype)
        return -info.smallest_normal * info.eps, 1 + info.eps


@ESTIMATORS.builds(spec.ReluClip)
class ReluClip(Window):
    """g · 1[0 < x ≤ top], the derivative of a ReLU that is clipped at the highest level (HWGQ, arXiv
    1702.00953 §4.2; the authors' quant_layer.cpp, whose clip_thr is top)."""

    spec: spec.ReluClip

    def ends(self, dtype: torch.dtype) -> tuple[float, float]:
        return 0.0, above(self.spec.top, dtype)


@ESTIMATORS.builds(spec.TanhEDE)
class TanhEDE(Estimator):
    """g · k·t·(1 − tanh²(t·x)), k = max(1/t, 1): error decay (IR-Net, arXiv 1909.10788 eqs. 11–12). Computed
    as 1/cosh², which loses no digits far from 0."""

    spec: spec.TanhEDE

    def slope(self, g: Tensor, x: Tensor) -> Tensor:
        t = self.number(self.spec.t)
        return torch.cosh(x * t).square_().reciprocal_().mul_(max(1 / t, 1.0) * t).mul_(g)

    def piece(self, x: Tensor, x0: Tensor) -> Tensor:
        t = self.number(self.spec.t)
        return max(1 / t, 1.0) * (torch.tanh(x * t) - torch.tanh(x0 * t))


@ESTIMATORS.builds(spec.PositiveWindow)
class PositiveWindow(Window):
    """g · 1[0 < x < end]: that of a half-wave, from 0 on and not from the threshold (TSQ's
    ``relu2b_layer.cpp``)."""

    spec: spec.PositiveWindow

    def ends(self, dtype: torch.dtype) -> tuple[float, float]:
        return 0.0, self.spec.end


@ESTIMATORS.builds(spec.FixedPointGradient)
class FixedPointGradient(Estimator):
    """q(g), the numbers of a ``Grid`` whose range follows the gradient (Courbariaux et al., arXiv
    1412.7024)."""

    def __init__(self, spec: spec.FixedPointGradient) -> None:
        super().__init__(spec)
        self.grid = Grid(spec)

    def slope(self, g: Tensor, x: Tensor) -> Tensor:
        if self.grid.held:
            return g
        if self.training:
            self.grid.find(g)
        q = self.grid.quantized(g)
        if self.training:
            self.grid.follow(q)
        return q

    def piece(self, x: Tensor, x0: Tensor) -> Tensor:
        return x - x0


@ESTIMATORS.builds(spec.Swish)
class Swish(Estimator):
    """g · β(2 − βx·tanh(βx/2))/(1 + cosh βx), the derivative of SwishSign 2σ(βx)[1 + βx(1 − σ(βx))] − 1
    (BNN+, arXiv 1812.11800). Computed with e^(−|βx|), since cosh overflows."""

    spec: spec.Swish

    def slope(self, g: Tensor, x: Tensor) -> Tensor:
        beta = self.number(self.spec.beta)
        z = (x * beta).abs_().clamp_(max=1000)  # beyond it the slope is 0, and ∞·0 would be NaN
        e = torch.exp(-z)
        return (2 - z * (1 - e) / (1 + e)).mul_(e).mul_(2 * beta).div_((1 + e).square_()).mul_(g)

    def piece(self, x: Tensor, x0: Tensor) -> Tensor:
        return self._swish_sign(x) - self._swish_sign(x0)

    def _swish_sign(self, x: Tensor) -> Tensor:
        z = x * self.number(self.spec.beta)
        return 2 * torch.sigmoid(z) * (1 + z * torch.sigmoid(-z)) - 1


@ESTIMATORS.builds(spec.Triangle)
class Triangle(Estimator):
    """g · max(0, 1 − |x|): half of ApproxSign's, since a step from 0 to 1 jumps by 1 and not by 2 (Eedn,
    arXiv 1603.08270)."""

    masks = True

    def slope(self, g: Tensor, x: Tensor) -> Tensor:
        return x.abs().neg_().add_(1).clamp_(min=0).mul_(g)

    def piece(self, x: Tensor, x0: Tensor) -> Tensor:
        side = x0.sign()
        return ((x - side * x.square() / 2) - (x0 - side * x0.square() / 2)) * (x0.abs() < 1)


@ESTIMATORS.builds(spec.Reste)
class Reste(Estimator):
    """g · |x|^(1/o − 1)/o for m < |x| ≤ t, g · m^(1/o − 1) for |x| ≤ m, 0 beyond t: the derivative of
    sign(x)·|x|^(1/o), near 0 its difference quotient (ReSTE, arXiv 2308.06689; the authors' code)."""

    masks = True
    spec: spec.Reste

    def slope(self, g: Tensor, x: Tensor) -> Tensor:
        power, m = 1 / self.number(self.spec.o), self.spec.flat
        far = x.abs()
        steep = far.clamp(min=m).pow_(power - 1).mul_(power)
        return steep.masked_fill_(far <= m, m ** (power - 1)).masked_fill_(far > self.spec.cut, 0).mul_(g)

    def piece(self, x: Tensor, x0: Tensor) -> Tensor:
        power, m, far = 1 / self.number(self.spec.o), self.spec.flat, x0.abs()
        bent = x0.sign() * (x.abs() ** power - far**power)
        return torch.where(far <= m, m ** (power - 1) * (x - x0), bent) * (far <= self.spec.cut)
