"""The factors of quantized weights, and of a layer's output, by name; ``binary/scales`` and
``binary/output_scales`` have the objects."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count, named


class _Scale(Record):
    scales: ClassVar[bool] = True
    learns: ClassVar[bool] = False
    spreads: ClassVar[bool] = False
    """It fits codes that are far apart."""
    mean_magnitude: ClassVar[bool] = False
    """It is mean |w|, whose derivative the weight gradients `exact` and `official` have."""
    reads_curvature: ClassVar[bool] = False
    """It weighs by the second moment that the optimizer keeps of the weight's gradient."""
    skips_zeros: ClassVar[bool] = False
    """It averages over the weights that are not quantized to 0."""


class NoScale(_Scale):
    """Codes are weights as they are."""

    name: Literal["none"] = "none"
    scales: ClassVar[bool] = False


class L1(_Scale):
    """mean |w| (XNOR-Net)."""

    name: Literal["l1"] = "l1"
    mean_magnitude: ClassVar[bool] = True


class L1Masked(_Scale):
    """mean |w| over the weights that are not quantized to 0 (TWN)."""

    name: Literal["l1_masked"] = "l1_masked"
    skips_zeros: ClassVar[bool] = True


class Pow2(_Scale):
    """mean |w| rounded to a power of two, so that it is a shift (IR-Net)."""

    name: Literal["pow2"] = "pow2"


class Learned(_Scale):
    """A parameter of its own that starts at mean |w| (the ablation of XNOR-Net's table 3)."""

    name: Literal["learned"] = "learned"
    learns: ClassVar[bool] = True


class LearnedMagnitude(_Scale):
    """|γ|, γ a parameter of its own that starts at 1 (ReBNet)."""

    name: Literal["learned_magnitude"] = "learned_magnitude"
    learns: ClassVar[bool] = True


class Curvature(_Scale):
    """mean |w| weighted by the curvature of the loss, which the optimizer estimates (LAB)."""

    name: Literal["curvature"] = "curvature"
    reads_curvature: ClassVar[bool] = True


class LearnedUniform(_Scale):
    """A parameter of its own that starts in U(0, 1) and may turn negative (ReCU)."""

    name: Literal["learned_uniform"] = "learned_uniform"
    learns: ClassVar[bool] = True


class MaxPow2(_Scale):
    """The largest weight, rounded to a power of two, over the largest code (INQ)."""

    name: Literal["max_pow2"] = "max_pow2"
    spreads: ClassVar[bool] = True


WeightScale = Annotated[
    Annotated[
        NoScale | L1 | L1Masked | Pow2 | Learned | LearnedMagnitude | Curvature | LearnedUniform | MaxPow2,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]


class _OutputScale(Record):
    needs_signs: ClassVar[bool] = False
    """Its formula is that of inputs whose codes are their signs."""
    pads_zeros: ClassVar[bool] = False
    """It averages over maps with zeros around them."""
    of_chances: ClassVar[bool] = False
    """It is a deviation of sums over weights that are drawn, for neurons that ask how many of them a sum is
    from 0."""
    of_signs: ClassVar[bool] = False
    """Those weights, and the inputs, are signs, and no connections and spikes."""
    learns: ClassVar[bool] = False
    """It has parameters; as any of them, only in layers with quantized inputs."""


class Unscaled(_OutputScale):
    """The product as it is."""

    name: Literal["none"] = "none"


class XnorK(_OutputScale):
    """K, the box-filtered mean |input| (XNOR-Net §3.2)."""

    name: Literal["xnor_k"] = "xnor_k"
    needs_signs: ClassVar[bool] = True
    pads_zeros: ClassVar[bool] = True


class Factored(_OutputScale):
    """Learned factors that start at 1, for channels and places of the map (XNOR-Net++)."""

    name: Literal["factored"] = "factored"
    over: Literal["channel", "all", "channel_map", "channel_row_column"] = "channel_row_column"
    """Cases 1 to 4 of the paper: a factor for each channel; for each number of the map; the product of one
    for the channel and one for the place; the product of three, for channel, row and column."""
    learns: ClassVar[bool] = True

    @property
    def parts(self) -> tuple[str, ...]:
        """The axes of each tensor of factors, of channels c, rows h and columns w."""
        cases = {"channel": "c", "all": "chw", "channel_map": "c hw", "channel_row_column": "c h w"}
        return tuple(cases[self.over].split())


class Gate(_OutputScale):
    """A factor in (0, 1) for each channel, which a small network finds for each image from the means of the
    layer's real input (Real-to-Binary); convolutions only."""

    name: Literal["gate"] = "gate"
    reduction: Count = 8
    """Input channels over hidden units."""
    learns: ClassVar[bool] = True


class Deviation(_OutputScale):
    """Divided by the deviation of a sum over sampled connections while training (Esser 2015)."""

    name: Literal["deviation"] = "deviation"
    of_chances: ClassVar[bool] = True


class ExpectedDeviation(_OutputScale):
    """Divided by the deviation of a sum over signs with expectations while training; dense layers, the last
    one too (Expectation Backpropagation)."""

    name: Literal["expected_deviation"] = "expected_deviation"
    of_chances: ClassVar[bool] = True
    of_signs: ClassVar[bool] = True


OutputScale = Annotated[
    Annotated[
        Unscaled | XnorK | Factored | Gate | Deviation | ExpectedDeviation,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]
