"""The quantizers by name and their options. Formulas stand at the objects of the same names in
``binary/quantizers``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Shared, named


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
    wants_plain_norm: ClassVar[bool] = False
    """As an activation quantizer: its constants are for numbers of mean 0 and deviation 1."""
    keeps_shape: ClassVar[bool] = False
    """As an activation quantizer: it only rounds, so that a nonlinearity stands before it."""
    wants_float32: ClassVar[bool] = False
    """It means nothing under mixed precision."""
    counts: ClassVar[bool] = False
    """It keeps whole numbers in a checkpoint, which no average of weights can hold."""

    @property
    def solves(self) -> bool:
        """Whether it solves for its weights on images before the first step."""
        return False


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


class SolvedSign(Sign):
    """The sign, first solved for so that a layer's response changes least (BWNH)."""

    name: Literal["solved_sign"] = "solved_sign"  # type: ignore[assignment]  # narrows the tag
    sweeps: int = Field(default=10, ge=1)
    """Passes over all weights, at most."""

    @property
    def solves(self) -> bool:
        return True


class OptimalTernary(Quantizer):
    """+1, −1 or 0, so that α times it is as near as can be to the weight (TSQ)."""

    name: Literal["optimal_ternary"] = "optimal_ternary"
    solve: bool = False
    """Solve for it before the first step, so that the next layer's codes change least (TSQ's second step)."""
    sweeps: int = Field(default=10, ge=1)
    """Passes over all weights, at most."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True

    @property
    def solves(self) -> bool:
        return self.solve


class TernaryResidual(Quantizer):
    """A sum of ternary weights with factors, each that of what the ones before leave (Ternary Residual
    Networks)."""

    name: Literal["ternary_residual"] = "ternary_residual"
    terms: int = Field(default=3, ge=1, le=4)
    """At most, in a layer."""
    budget: float = Field(default=2.0, ge=1)
    """Terms for each weight, on average over the network; layers that suffer most get more."""
    block: int | None = Field(default=None, ge=1)
    """Weights of a filter that share factors; default: all of them."""
    scales_itself: ClassVar[bool] = True
    counts: ClassVar[bool] = True

    @property
    def solves(self) -> bool:
        return True


class SparseHalfWave(Quantizer):
    """0, δ, 2δ or 3δ; 0 up to a threshold θ (TSQ)."""

    name: Literal["sparse_half_wave"] = "sparse_half_wave"
    threshold: float = Field(default=0.32, gt=0)
    """θ; δ/2 or so is best."""
    step: float = Field(default=0.6487, gt=0)
    """δ: the best for the positive half of N(0, 1)."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    range: ClassVar[str] = "positive"
    wants_plain_norm: ClassVar[bool] = True


class FixedPoint(Quantizer, Shared):
    """Fixed point with a shared exponent (training with low-precision multiplications)."""

    name: Literal["fixed_point"] = "fixed_point"
    update_bits: int = Field(default=11, ge=1, le=31)
    """As a weight quantizer: bits of the stored weight, without the sign."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    range: ClassVar[str] = "any"
    counts: ClassVar[bool] = True
    keeps_shape: ClassVar[bool] = True
    wants_float32: ClassVar[bool] = True


class CodeBook(Quantizer):
    """Pieces of a few input channels, each one of K words of its sub-space (Quantized CNN)."""

    name: Literal["codebook"] = "codebook"
    channels: int = Field(default=8, ge=1)
    """C′ of convolutions: numbers in a word."""
    words: int = Field(default=128, ge=2, le=256)
    """K of convolutions."""
    dense_channels: int = Field(default=4, ge=1)
    dense_words: int = Field(default=32, ge=2, le=256)
    sweeps: int = Field(default=2, ge=0)
    """Passes of error correction; 0: k-means alone."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    counts: ClassVar[bool] = True

    @property
    def solves(self) -> bool:
        return True


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
        | CodeBook,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]
ActivationQuantizer = Annotated[
    Annotated[
        Real | Sign | StochasticSign | Uniform | LearnedSigns | SparseHalfWave | FixedPoint,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]
