"""Steps before a quantizer, by name; ``binary/pre`` has the objects."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.annealed import AboveZero, UpperQuantile
from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Positive, named


class Pre(Record):
    """Options of a step before the quantizer."""

    prepares: ClassVar[bool] = True
    clamps: ClassVar[bool] = False
    """It limits weights itself, in units of their own deviation."""

    @property
    def copied(self) -> int:
        """How many filters are made of a stored one."""
        return 1

    measures: ClassVar[bool] = False
    """It is set on images, where a method solves for its weights."""
    rectifies: ClassVar[bool] = False
    """It leaves no number below 0."""


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
    rectifies: ClassVar[bool] = True
    start: Positive = 8.0
    """α at the beginning: the paper says only that it must be large; 8 is Distiller's."""
    rate: Positive = 1.0
    """Factor on the learning rate of α."""
    weight_decay: float | None = Field(default=None, ge=0)
    """L2 on α, which draws it to where few numbers are cut off; default: that of the real weights."""


class Measured(Pre):
    """Clipped to [0, s], s the largest input on the images that weights are solved on; activations only."""

    name: Literal["measured"] = "measured"
    measures: ClassVar[bool] = True


class Clamp(Pre):
    """Clipped to [−limit, limit]; activations only."""

    name: Literal["clamp"] = "clamp"
    limit: Positive = 2.0
    """LS has 2 for CIFAR and 3 for ImageNet."""


class Relu(Pre):
    """max(x, 0); activations only."""

    name: Literal["relu"] = "relu"
    rectifies: ClassVar[bool] = True


class TanhMax(Pre):
    """tanh(w) over its largest magnitude, between −1 and 1 (DoReFa-Net); weights only."""

    name: Literal["tanh_max"] = "tanh_max"
    detach: bool = False
    """No gradient passes through the largest magnitude (Larq); in the authors' code it does."""


class ClipUnit(Pre):
    """Clipped to [−1, 1] (WRPN); weights only."""

    name: Literal["clip"] = "clip"


class RectifiedClamp(Pre):
    """Standardized, and clamped to the quantile τ of their magnitude (ReCU); weights only."""

    name: Literal["rectified_clamp"] = "rectified_clamp"
    tau: UpperQuantile = 0.99
    """τ: the share 2 − 2τ of Laplace's weights is clamped."""
    clamps: ClassVar[bool] = True


class SampleDeviation(Pre):
    """Divided by each image's own deviation while training (ReCU); activations only."""

    name: Literal["sample_deviation"] = "sample_deviation"


class Tanh(Pre):
    """tanh(ν·x), which ν sharpens towards the sign (Self-Binarizing Networks)."""

    name: Literal["tanh"] = "tanh"
    nu: AboveZero = 1.0


class Circulant(Pre):
    """Each stored filter and its rotations (CBCN); weights only."""

    name: Literal["circulant"] = "circulant"
    copies: Literal[1, 2, 4, 8] = 4
    """Filters made of one, each turned by a full turn over `copies`."""

    @property
    def copied(self) -> int:
        return self.copies


WeightPre = Annotated[
    Annotated[
        AsItIs | Center | Standardize | TanhMax | ClipUnit | RectifiedClamp | Tanh | Circulant,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]

ActivationPre = Annotated[
    Annotated[
        AsItIs | Shift | Pact | Measured | Clamp | Relu | SampleDeviation | Tanh, Field(discriminator="name")
    ],
    BeforeValidator(named),
]
