"""The quantizers by name and their options. Formulas stand at the objects of the same names in
``binary/quantizers``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Positive, named


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
    latent: ClassVar[bool] = True
    """As a weight quantizer: real latent weights stand behind the codes."""
    centres_itself: ClassVar[bool] = False
    """It subtracts the mean of what it quantizes."""
    wants_plain_norm: ClassVar[bool] = False
    """Its levels suit numbers of N(0, 1), as a norm without factor and summand gives them."""
    leads_back: ClassVar[bool] = False
    """It has a gradient of its own: as a weight quantizer no rule of `gradient` leads back."""
    range: ClassVar[str] = "signed"
    """The inputs that it tells apart: `signed`, `unit` (0 to 1), `half` (above 0); so do estimators."""


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


class TrainedTernary(Quantizer):
    """W_p, 0 or −W_n, two learned numbers of the layer (TTQ)."""

    name: Literal["trained_ternary"] = "trained_ternary"
    threshold: float = Field(default=0.05, ge=0)
    """0 up to threshold · max |w|."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    scales_itself: ClassVar[bool] = True
    leads_back: ClassVar[bool] = True


class SignedUniform(Quantizer):
    """2^bits odd levels from −1 to 1, evenly spaced and without 0 (DoReFa-Net's weights)."""

    name: Literal["signed_uniform"] = "signed_uniform"
    bits: int = Field(default=2, ge=1, le=8)
    signs: ClassVar[bool] = False


class SymmetricUniform(Quantizer):
    """2^bits − 1 levels from −1 to 1, evenly spaced around 0; the sign with 1 bit (WRPN)."""

    name: Literal["symmetric_uniform"] = "symmetric_uniform"
    bits: int = Field(default=2, ge=1, le=8)
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True


class HalfWave(Quantizer):
    """0 up to 0, else the nearest of 2^bits − 1 multiples of a step (HWGQ)."""

    name: Literal["half_wave"] = "half_wave"
    bits: int = Field(default=2, ge=1, le=4)
    step: Positive = 0.538
    """The best for the positive half of N(0, 1) in 2 bits, as the authors' networks have it."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    range: ClassVar[str] = "half"
    wants_plain_norm: ClassVar[bool] = True


class MeasuredPair(Quantizer):
    """mean(w) ± deviation(w), whichever is nearer (AdaBin's weights)."""

    name: Literal["measured_pair"] = "measured_pair"
    centres_itself: ClassVar[bool] = True
    signs: ClassVar[bool] = False
    scales_itself: ClassVar[bool] = True
    leads_back: ClassVar[bool] = True


class LearnedPair(Quantizer):
    """Two values, whose centre and distance are learned (AdaBin's activations)."""

    name: Literal["learned_pair"] = "learned_pair"
    center: Literal["paper", "code"] = "code"
    """The values around the threshold β: β ± α in the paper, α·(β ± 1) in the authors' code."""
    signs: ClassVar[bool] = False
    scales_itself: ClassVar[bool] = True

    @property
    def at_threshold(self) -> bool:
        """Whether the threshold lies halfway between the values."""
        return self.center == "paper"


class SoftSteps(Quantizer):
    """2^bits even steps between learned ends, whose gradient is that of a staircase of tanh (DSQ)."""

    name: Literal["soft_steps"] = "soft_steps"
    bits: int = Field(default=1, ge=1, le=3)
    softness: float = Field(default=0.2, gt=0, le=0.5)
    """α at the beginning, a learned number in (0, ½]: steps become sharp as it goes to 0."""
    signs: ClassVar[bool] = False
    scales_itself: ClassVar[bool] = True
    leads_back: ClassVar[bool] = True


WeightQuantizer = Annotated[
    Annotated[
        Real
        | Sign
        | StochasticSign
        | Ternary
        | Stored
        | ShiftedSigns
        | TrainedTernary
        | SignedUniform
        | SymmetricUniform
        | MeasuredPair
        | SoftSteps,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]
ActivationQuantizer = Annotated[
    Annotated[
        Real | Sign | StochasticSign | Uniform | LearnedSigns | HalfWave | LearnedPair | SoftSteps,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]
