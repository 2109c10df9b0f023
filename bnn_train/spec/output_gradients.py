"""Roundings of the gradient at a layer's output, by name; ``binary/output_gradients`` has the objects."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import named


class _OutputGradient(Record):
    rounds: ClassVar[bool] = True


class RealGradient(_OutputGradient):
    """It stays as it is."""

    name: Literal["none"] = "none"
    rounds: ClassVar[bool] = False


class NoisyUniform(_OutputGradient):
    """Rounded at random to 2^bits levels between ∓ the largest of its image (DoReFa-Net)."""

    name: Literal["dorefa"] = "dorefa"
    bits: int = Field(default=6, ge=1, le=8)


OutputGradient = Annotated[
    Annotated[RealGradient | NoisyUniform, Field(discriminator="name")], BeforeValidator(named)
]
