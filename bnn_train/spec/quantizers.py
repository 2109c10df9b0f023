"""The quantizers by name and their options. Formulas stand at the objects of the same names in
``binary/quantizers``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Positive, Shared, named


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
    leads_back: ClassVar[bool] = False
    """It has a gradient of its own: as a weight quantizer no rule of `gradient` leads back."""
    softens: ClassVar[bool] = False
    """While training it has other numbers than in evaluations and exports, or keeps track of its codes."""
    remembers: ClassVar[bool] = False
    """Its codes depend on those that it had before, which it keeps."""
    fires: ClassVar[bool] = False
    """Its codes are 0 and 1."""
    remark: ClassVar[str] = ""
    """A sentence that a run with it tells at its start."""
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
    range: ClassVar[str] = "positive"
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


class Heaviside(Quantizer):
    """1 from 0 on, else 0 (Eedn)."""

    name: Literal["heaviside"] = "heaviside"
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    fires: ClassVar[bool] = True


class Hysteresis(Quantizer):
    """+1, −1 or 0 for weights near them; between, what the weight was before (Eedn)."""

    name: Literal["hysteresis"] = "hysteresis"
    band: float = Field(default=0.1, ge=0, lt=0.5)
    """h: from ½ − h to ½ + h a weight keeps its code."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    softens: ClassVar[bool] = True
    remembers: ClassVar[bool] = True


class TernaryShare(Quantizer):
    """0 for a share of the weights, the smallest, and the sign of the others (Bitwise Neural Networks)."""

    name: Literal["ternary_share"] = "ternary_share"
    share: float = Field(default=0.25, ge=0, lt=1)
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True


class LateSign(Quantizer):
    """The number itself while training, its sign in evaluations and exports (Self-Binarizing Networks)."""

    name: Literal["late_sign"] = "late_sign"
    softens: ClassVar[bool] = True
    remark: ClassVar[str] = (
        "what late_sign quantizes is real while training, and evaluations take the signs: before the end,"
        " validation measures another network than the one that is trained"
    )


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
        | LateSign,
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
        | LateSign,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]
