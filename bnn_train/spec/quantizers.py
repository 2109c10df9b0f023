"""The quantizers by name and their options. Formulas stand at the objects of the same names in
``binary/quantizers``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.quantizer import Quantizer, Sign
from bnn_train.spec.quantizers_bases import (
    Greedy,
    LeastSquares,
    LeastSquaresTernary,
    Levels,
    ResidualSigns,
    UnsignedLevels,
)
from bnn_train.spec.quantizers_levels import (
    HalfWave,
    LearnedPair,
    MeasuredPair,
    SignedUniform,
    SoftSteps,
    SymmetricUniform,
    TrainedTernary,
)
from bnn_train.spec.quantizers_solved import (
    CodeBook,
    FixedPoint,
    OptimalTernary,
    SolvedSign,
    SparseHalfWave,
    TernaryResidual,
)
from bnn_train.spec.quantizers_spikes import (
    ExpectedSign,
    GatedSign,
    Heaviside,
    Hysteresis,
    LateSign,
    RealTanh,
    Sampled,
    Spike,
    TernaryShare,
)
from bnn_train.spec.scalars import named

__all__ = [
    "ActivationQuantizer",
    "CodeBook",
    "ExpectedSign",
    "FixedPoint",
    "GatedSign",
    "Greedy",
    "HalfWave",
    "Heaviside",
    "Hysteresis",
    "LateSign",
    "LearnedPair",
    "LearnedSigns",
    "LeastSquares",
    "LeastSquaresTernary",
    "Levels",
    "MeasuredPair",
    "OptimalTernary",
    "Powers",
    "Quantizer",
    "Real",
    "RealTanh",
    "ResidualSigns",
    "Sampled",
    "ShiftedSigns",
    "Sign",
    "SignedUniform",
    "SoftSteps",
    "SolvedSign",
    "SparseHalfWave",
    "Spike",
    "StochasticSign",
    "Stored",
    "SymmetricUniform",
    "Ternary",
    "TernaryResidual",
    "TernaryShare",
    "TrainedTernary",
    "Uniform",
    "UnsignedLevels",
    "WeightQuantizer",
]


class Real(Quantizer):
    """No quantization."""

    name: Literal["none"] = "none"
    quantizes: ClassVar[bool] = False
    signs: ClassVar[bool] = False
    range: ClassVar[str] = "any"


class StochasticSign(Quantizer):
    """±1 at random while training, +1 with probability (x + 1)/2 (BinaryConnect); sign elsewhere."""

    name: Literal["stochastic_sign"] = "stochastic_sign"
    draws: ClassVar[bool] = True


class Ternary(Quantizer):
    """+1, −1, or 0 for numbers that are small beside the mean |x| (TWN)."""

    name: Literal["ternary"] = "ternary"
    threshold: float = Field(default=0.75, ge=0)
    """0 up to threshold · mean |x|."""
    fixed: float | None = Field(default=None, ge=0)
    """0 up to this number itself, whatever `threshold` and mean |x| are (Larq's `ste_tern` with a
    `threshold_value`)."""
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

    @property
    def told(self) -> str:
        """Bits of one number."""
        return str(self.bits)


WeightQuantizer = Annotated[
    Annotated[
        Real
        | Sign
        | StochasticSign
        | Ternary
        | Stored
        | ShiftedSigns
        | SolvedSign
        | OptimalTernary
        | TernaryResidual
        | FixedPoint
        | CodeBook
        | Levels
        | TrainedTernary
        | SignedUniform
        | SymmetricUniform
        | MeasuredPair
        | SoftSteps
        | Hysteresis
        | TernaryShare
        | LateSign
        | Powers
        | Sampled
        | ExpectedSign,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]

ActivationQuantizer = Annotated[
    Annotated[
        Real
        | Sign
        | StochasticSign
        | Uniform
        | LearnedSigns
        | SparseHalfWave
        | FixedPoint
        | Greedy
        | LeastSquares
        | LeastSquaresTernary
        | ResidualSigns
        | UnsignedLevels
        | HalfWave
        | LearnedPair
        | SoftSteps
        | Heaviside
        | LateSign
        | RealTanh
        | Spike
        | ExpectedSign
        | GatedSign,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]
