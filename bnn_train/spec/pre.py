"""Steps before a quantizer, by name; ``binary/pre`` has the objects."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Positive, named


class Pre(Record):
    """Options of a step before the quantizer."""

    prepares: ClassVar[bool] = True

    @property
    def copied(self) -> int:
        """How many filters are made of a stored one."""
        return 1


class AsItIs(Pre):
    """Nothing."""

    name: Literal["none"] = "none"
    prepares: ClassVar[bool] = False


class Center(Pre):
    """Minus the mean; weights only."""

    name: Literal["center"] = "center"


class Standardize(Pre):
    """Mean 0 and standard deviation 1 (IR-Net); weights only."""

    name: Literal["standardize"] = "standardize"


class Shift(Pre):
    """A learned shift for each input channel, so that the threshold moves; activations only."""

    name: Literal["shift"] = "shift"
    rate: Positive = 1.0
    """Factor on the learning rate of the shifts."""
    weight_decay: float | None = Field(default=None, ge=0)
    """L2 on them; default: that of the real weights."""


class Pact(Pre):
    """Clipped to [0, α], α learned (PACT); activations only."""

    name: Literal["pact"] = "pact"
    start: Positive = 8.0
    """α at the beginning: the paper says only that it must be large; 8 is Distiller's."""
    rate: Positive = 1.0
    """Factor on the learning rate of α."""
    weight_decay: float | None = Field(default=None, ge=0)
    """L2 on α, which draws it to where few numbers are cut off; default: that of the real weights."""


class Circulant(Pre):
    """Each stored filter and its rotations (CBCN); weights only."""

    name: Literal["circulant"] = "circulant"
    copies: Literal[1, 2, 4, 8] = 4
    """Filters made of one, each turned by a full turn over `copies`."""

    @property
    def copied(self) -> int:
        return self.copies


WeightPre = Annotated[
    Annotated[AsItIs | Center | Standardize | Circulant, Field(discriminator="name")], BeforeValidator(named)
]
ActivationPre = Annotated[
    Annotated[AsItIs | Shift | Pact, Field(discriminator="name")], BeforeValidator(named)
]
