"""What happens to a real number before its quantizer, by name; ``binary/pre`` has the objects."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Positive, named


class Pre(Record):
    """Options of a step before the quantizer."""

    prepares: ClassVar[bool] = True


class AsItIs(Pre):
    """Nothing."""

    name: Literal["none"] = "none"
    prepares: ClassVar[bool] = False


class Center(Pre):
    """Minus the mean; weights only."""

    name: Literal["center"] = "center"


class Shift(Pre):
    """A learned shift for each input channel, so that the threshold moves; activations only."""

    name: Literal["shift"] = "shift"
    rate: Positive = 1.0
    """Factor on the learning rate of the shifts."""
    weight_decay: float | None = Field(default=None, ge=0)
    """L2 on them; default: that of the real weights."""


WeightPre = Annotated[Annotated[AsItIs | Center, Field(discriminator="name")], BeforeValidator(named)]
ActivationPre = Annotated[Annotated[AsItIs | Shift, Field(discriminator="name")], BeforeValidator(named)]
