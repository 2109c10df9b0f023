"""The gradient estimators by name and their options; ``binary/estimators`` has the objects."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.annealed import AboveZero
from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Positive, named


class _Estimator(Record):
    range: ClassVar[str] = "signed"
    """The quantizers that it belongs to: `signed`, `unit`, or `any`."""


class Identity(_Estimator):
    """1 everywhere: the plain straight-through estimator."""

    name: Literal["identity"] = "identity"
    range: ClassVar[str] = "any"


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


Estimator = Annotated[
    Annotated[Identity | Clip | ClipOpen | ApproxSign | Unit | TanhEDE, Field(discriminator="name")],
    BeforeValidator(named),
]
