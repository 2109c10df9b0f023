"""The gradient estimators by name and their options; ``binary/estimators`` has the objects."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.annealed import AboveZero, AtLeastOne
from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Positive, Shared, named


class _Estimator(Record):
    range: ClassVar[str] = "signed"
    """The quantizers that it belongs to: `signed`, `unit`, `positive`, or `any`."""
    straight: ClassVar[bool] = False
    """It changes nothing."""


class Identity(_Estimator):
    """1 everywhere: the plain straight-through estimator."""

    name: Literal["identity"] = "identity"
    range: ClassVar[str] = "any"
    straight: ClassVar[bool] = True


class Clip(_Estimator):
    """1 on [−bound, bound]: 1 (BNN), 1.25 or 1.3 (Bethge et al., Larq)."""

    name: Literal["clip"] = "clip"
    bound: Positive = 1.0


class ClipOpen(_Estimator):
    """1 between −1 and 1, which themselves give 0 (XNOR-Net's code)."""

    name: Literal["clip_open"] = "clip_open"


class ApproxSign(_Estimator):
    """A triangle, 2 − 2|x| (Bi-Real Net)."""

    name: Literal["approx_sign"] = "approx_sign"


class Unit(_Estimator):
    """1 on [0, 1] (DoReFa-Net)."""

    name: Literal["unit"] = "unit"
    range: ClassVar[str] = "unit"


class TanhEDE(_Estimator):
    """The slope of k·tanh(t·x), k = max(1/t, 1), which t sharpens towards sign's (IR-Net's EDE)."""

    name: Literal["tanh_ede"] = "tanh_ede"
    t: AboveZero = 1.0


class PositiveWindow(_Estimator):
    """1 between 0 and an end, which themselves give 0 (TSQ)."""

    name: Literal["positive_window"] = "positive_window"
    end: float = Field(default=3 * 0.6487, gt=0)
    range: ClassVar[str] = "positive"


class FixedPointGradient(_Estimator, Shared):
    """1 everywhere, the gradient itself in fixed point (training with low-precision multiplications)."""

    name: Literal["fixed_point_gradient"] = "fixed_point_gradient"
    range: ClassVar[str] = "any"


class ReluClip(_Estimator):
    """1 above 0 up to a top: a clipped ReLU's (HWGQ)."""

    name: Literal["relu_clip"] = "relu_clip"
    range: ClassVar[str] = "positive"
    top: Positive = 1.614
    """The highest level of the quantizer."""


class Swish(_Estimator):
    """The slope of SwishSign: steep at 0, below 0 a little farther off, then nothing (BNN+)."""

    name: Literal["swish"] = "swish"
    beta: AboveZero = 5.0
    """β, the slope at 0."""


class Triangle(_Estimator):
    """A triangle, 1 − |x|, for steps from 0 to 1 (Eedn)."""

    name: Literal["triangle"] = "triangle"


class Reste(_Estimator):
    """The slope of sign(x)·|x|^(1/o), which o bends from the identity towards the sign (ReSTE)."""

    name: Literal["reste"] = "reste"
    o: AtLeastOne = 3.0
    flat: Positive = 0.1
    """m: on [−m, m] the slope is the difference quotient, since the power's own is infinite at 0."""
    cut: Positive = 1.5
    """t: 0 beyond ±t."""


Estimator = Annotated[
    Annotated[
        Identity
        | Clip
        | ClipOpen
        | ApproxSign
        | Unit
        | TanhEDE
        | PositiveWindow
        | FixedPointGradient
        | ReluClip
        | Swish
        | Triangle
        | Reste,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]
