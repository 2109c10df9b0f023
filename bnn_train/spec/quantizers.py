"""The quantizers by name and their options. Formulas stand at the objects of the same names in
``binary/quantizers``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import named


class Quantizer(Record):
    """Facts of a quantizer that config checks ask, before torch is there to make one."""

    quantizes: ClassVar[bool] = True
    signs: ClassVar[bool] = True
    """Its codes are ±1 and nothing else."""
    is_sign: ClassVar[bool] = False
    """Its code is the sign of the number, always."""
    zeros: ClassVar[bool] = False
    """0 is one of its codes."""
    draws: ClassVar[bool] = False
    """Its codes are random while training."""
    scales_itself: ClassVar[bool] = False
    """It has factors of its own, one for each of its bases."""
    spread: ClassVar[bool] = False
    """Its codes are far apart, and only the scale that knows the largest of them fits."""
    latent: ClassVar[bool] = True
    """As a weight quantizer: real latent weights stand behind the codes."""
    range: ClassVar[str] = "signed"
    """The inputs that it tells apart: `signed` or `unit`, [0, 1]; estimators have theirs."""


class Real(Quantizer):
    """No quantization."""

    name: Literal["none"] = "none"
    quantizes: ClassVar[bool] = False
    signs: ClassVar[bool] = False
    range: ClassVar[str] = "any"


class Sign(Quantizer):
    """−1 below 0, else +1."""

    name: Literal["sign"] = "sign"
    is_sign: ClassVar[bool] = True


class StochasticSign(Quantizer):
    """±1 at random while training, +1 with probability (x + 1)/2 (BinaryConnect); sign elsewhere."""

    name: Literal["stochastic_sign"] = "stochastic_sign"
    draws: ClassVar[bool] = True


class Ternary(Quantizer):
    """+1, −1, or 0 for numbers that are small beside the mean |x| (TWN)."""

    name: Literal["ternary"] = "ternary"
    threshold: float = Field(default=0.75, ge=0)
    """0 up to threshold · mean |x|."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True


class Stored(Quantizer):
    """The parameter itself is ±1, and only an optimizer that flips it may train it (Bop)."""

    name: Literal["stored"] = "stored"
    latent: ClassVar[bool] = False


class Uniform(Quantizer):
    """Clipped to [0, 1] and rounded to 2^bits − 1 steps (DoReFa-Net)."""

    name: Literal["uniform"] = "uniform"
    bits: int = Field(default=1, ge=1, le=8)
    signs: ClassVar[bool] = False
    range: ClassVar[str] = "unit"


class ShiftedSigns(Quantizer):
    """M signs of the weight, shifted by multiples of its deviation, with least-squares factors (ABC-Net)."""

    name: Literal["shifted_signs"] = "shifted_signs"
    bases: int = Field(default=3, ge=1, le=8)
    scales_itself: ClassVar[bool] = True


class LearnedSigns(Quantizer):
    """N signs of the activation with learned thresholds and factors (ABC-Net)."""

    name: Literal["learned_signs"] = "learned_signs"
    bases: int = Field(default=3, ge=1, le=8)
    range: ClassVar[str] = "unit"
    scales_itself: ClassVar[bool] = True


class Powers(Quantizer):
    """0 or ± one of 2^(bits − 2) powers of two, the largest near the layer's largest weight (INQ)."""

    name: Literal["powers"] = "powers"
    bits: int = Field(default=5, ge=2, le=5)
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    spread: ClassVar[bool] = True


WeightQuantizer = Annotated[
    Annotated[
        Real | Sign | StochasticSign | Ternary | Stored | ShiftedSigns | Powers, Field(discriminator="name")
    ],
    BeforeValidator(named),
]
ActivationQuantizer = Annotated[
    Annotated[Real | Sign | StochasticSign | Uniform | LearnedSigns, Field(discriminator="name")],
    BeforeValidator(named),
]
