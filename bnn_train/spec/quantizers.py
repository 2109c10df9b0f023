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


class _Measured(Quantizer):
    """Signs of one number, each of what those before left over, with factors measured on what passes."""

    stat: Literal["ema", "batch"] = "ema"
    """Training measures each image. Elsewhere: `ema`, the moving average, alike for all images; `batch`,
    each image again, which no packed file can hold."""
    momentum: float = Field(default=0.99, ge=0, lt=1)
    """The weight of the past in the moving average."""
    signs: ClassVar[bool] = False
    scales_itself: ClassVar[bool] = True

    @property
    def averages(self) -> bool:
        """Whether evaluations take the moving average."""
        return self.stat == "ema"

    @property
    def by_window(self) -> bool:
        """Whether a convolution measures each of its windows by itself."""
        return False


class Greedy(_Measured):
    """Signs of the residual, each with the mean |residual| as its factor (greedy foldable, HORQ)."""

    name: Literal["greedy"] = "greedy"
    bases: int = Field(default=2, ge=1, le=8)
    stat: Literal["ema", "batch", "column"] = "ema"  # type: ignore[assignment]  # one more
    """`column`: each window of a convolution, each image of a dense layer, in training and elsewhere
    (HORQ)."""

    @property
    def by_window(self) -> bool:
        """Whether a convolution measures each of its windows by itself."""
        return self.stat == "column"


class LeastSquares(_Measured):
    """Two signs with the factors of the least squared error (LS-2)."""

    name: Literal["least_squares"] = "least_squares"
    skip: int = Field(default=1, ge=1)
    """The first factor is found among every so many numbers; the authors' code has 3."""


class LeastSquaresTernary(_Measured):
    """−2v, 0 or 2v, v of the least squared error (LS-T)."""

    name: Literal["least_squares_ternary"] = "least_squares_ternary"
    skip: int = Field(default=1, ge=1)
    """v is found among every so many numbers; the authors' code has 3."""


class ResidualSigns(Quantizer):
    """Signs of the residual with learned factors (ReBNet)."""

    name: Literal["residual_signs"] = "residual_signs"
    bases: int = Field(default=2, ge=1, le=8)
    scales_itself: ClassVar[bool] = True


class Levels(Quantizer):
    """The nearest of the 2^K sums ±v₁ ± … ± v_K, v of each filter learned by least squares (LQ-Nets)."""

    name: Literal["levels"] = "levels"
    bases: int = Field(default=2, ge=1, le=4)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """The weight of the past in the moving average of v."""
    scales_itself: ClassVar[bool] = True


class UnsignedLevels(Quantizer):
    """The nearest of the 2^K sums of a subset of v₁ … v_K, v learned by least squares (LQ-Nets)."""

    name: Literal["unsigned_levels"] = "unsigned_levels"
    bases: int = Field(default=2, ge=1, le=4)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """The weight of the past in the moving average of v."""
    range: ClassVar[str] = "unit"
    signs: ClassVar[bool] = False
    scales_itself: ClassVar[bool] = True


WeightQuantizer = Annotated[
    Annotated[
        Real | Sign | StochasticSign | Ternary | Stored | ShiftedSigns | Levels, Field(discriminator="name")
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
        | Greedy
        | LeastSquares
        | LeastSquaresTernary
        | ResidualSigns
        | UnsignedLevels,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]
