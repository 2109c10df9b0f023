"""The packed program: typed values and a flat list of steps over them. Data only, as it stands in the file.

Arrays are channel-last: a ``u8`` or ``f32`` value is N×H×W×C, a ``bits`` value uint32 N×H×W×P×⌈C/32⌉: P
planes, channel c at bit c mod 32 of word c // 32, unused bits 0. A set bit is the sign −1. A dense layer is a
convolution whose kernel is the whole map, so nothing is ever flattened. What a step computes stands at its
class; ``reference`` says it in numpy.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import FailFast, Field

from bnn_train.packed.later import LATER, Later
from bnn_train.spec.record import Record

VERSION = 1

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
"""A tensor of the file, or a layer."""
Size = Annotated[int, Field(ge=1, le=2**24)]
Index = Annotated[int, Field(ge=0, lt=4096)]
"""A value, by its place in ``Program.values``."""
Pair = Annotated[tuple[int, int], Field(strict=False)]
PlaneValue = Annotated[int, Field(ge=1, le=2**15)]
Activation = Literal["none", "relu", "hardtanh"]
"""``relu``: 0 where y < 0; ``hardtanh``: −1 where y < −1, 1 where y > 1; elsewhere y itself, NaN and −0.0
included."""


class Code(Record):
    """What the signs s_p ∈ {−1, +1} of P planes mean: (offset + Σ_p values[p]·s_p) / denominator, a whole
    number.

    Sign: (0, (1,), 1). Ternary: (0, (1, 1), 2). Unsigned codes 0…3: (3, (1, 2), 2), plane p the binary digit
    p of the code, digit 0 the sign −1.
    """

    offset: int = Field(default=0, ge=-(2**16), le=2**16)
    values: Annotated[tuple[PlaneValue, ...], FailFast(), Field(strict=False, min_length=1, max_length=8)] = (
        1,
    )
    denominator: int = Field(default=1, ge=1, le=2**8)


class Value(Record):
    """What a step reads or writes; one image's shape."""

    type: Literal["u8", "f32", "bits"]
    height: Size
    width: Size
    channels: Size
    code: Code | None = None
    """Given for ``bits`` and only there."""


class Geometry(Record):
    """How a window walks over a map, as in PyTorch. Rows first."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: Size = 1


class BitWeight(Record):
    """Quantized weights: for each plane and output channel the n = Kh·Kw·I bits of a filter in the order
    (row, column, input channel of the group), eight to a byte, lowest bit first, the last byte filled with
    zeros."""

    kind: Literal["bits"] = "bits"
    tensor: Name
    """uint8 P×O×⌈n/8⌉."""
    code: Code = Code()
    gain: Name | None = None
    """int32 I, with a ``u8`` input only: the whole-number factor (1…2²³−1) of each input channel of a group;
    absent: 1."""


class IntWeight(Record):
    """Whole-number weights Σ_d 256^d·digit_d with signed digits; real weights over a per-channel ``scale``.

    With a ``u8`` input, 1 to 3 digits. With an ``f32`` input one digit, and the input of each image is itself
    rounded: m = max |x|, q = rint(x·(127/m)), y = (Σ q·w)·(m/127), in float32 (the sum itself exact), before
    the epilogue. Where 127/m is not a finite number above 0 (m = 0, tiny, infinite or NaN), q = 0.
    """

    kind: Literal["int"] = "int"
    tensor: Name
    """int8 D×O×Kh×Kw×I."""


class RealWeight(Record):
    """Real weights; ``bf16`` holds the upper half of each float32."""

    kind: Literal["f32", "bf16"]
    tensor: Name
    """float32, or for ``bf16`` uint16, O×Kh×Kw×I."""


Weight = Annotated[BitWeight | IntWeight | RealWeight, Field(discriminator="kind")]


class Epilogue(Record):
    """From a product to a real value, in float32, each line rounded once, in this order; absent lines are
    left out.

        y = y · scale[c]
        y = y · K[pixel, group of c]
        y = y + bias[border class of the pixel, c]
        y = fma(y, norm[0][c], norm[1][c])            one rounding
        y = activation(y)
        y = y + residual[pixel, c]
        y = stream(y)

    Whole-number products are first rounded to float32 (nearest, ties to even).
    """

    scale: Name | None = None
    """float32 O."""
    input_scale: Index | None = None
    """An ``f32`` value of the output's height and width with one channel per group."""
    bias: Name | None = None
    """float32 B×O: one row, or one for each border class (``shapes.border_classes``)."""
    norm: Annotated[tuple[Name, Name], Field(strict=False)] | None = None
    """float32 O each: factor and summand."""
    activation: Activation = "none"
    residual: Index | None = None
    """An ``f32`` value of the output's shape."""
    stream: Activation = "none"


class Thresholds(Record):
    """From a number to a code of L+1 levels, L = 2^P − 1: the count of thresholds passed, written in P binary
    digits, a digit 0 as the sign −1. A threshold is failed iff y < t (or, where ``flip``, y > t); NaN passes.

    int32 thresholds lie in [−b − 1, b + 1], b = ``tensor_rules.product_bound``; one that always passes is −b
    − 1 (``flip``: b + 1), one that never does b + 1 (−b − 1). Real ones are finite; one that passes (fails)
    for every finite y but the largest float32 itself is −3.4028235e38 (3.4028235e38), with ``flip`` the other
    way round.
    """

    tensor: Name
    """L×O. int32: compared with the whole-number product itself, and the step has no epilogue; float32: with
    the epilogue's result."""
    flip: Name | None = None
    """uint8 O of 0 and 1; absent: all 0."""


class Emission(Record):
    """Where a result goes: as a real value, as bits, or both."""

    output: Index | None = None
    """An ``f32`` value."""
    bits: Index | None = None
    thresholds: Thresholds | None = None
    """Given with ``bits`` and only with them."""


class Conv(Emission):
    """Σ over the window of input · weight, then ``epilogue``; ``thresholds`` see its result, whole ones the
    product.

    input × weight: ``bits`` × ``bits`` → whole number, exact (int32); ``u8`` × ``bits`` or ``int`` → whole
    number, exact (int64); ``f32`` × anything → float32, the order of the sum left open. Padded taps of ``u8``
    and ``f32`` inputs contribute 0; those of ``bits`` inputs have the code ``pad``, which need not be one of
    the input's codes.
    """

    op: Literal["conv"] = "conv"
    layer: Name
    input: Index
    weight: Weight
    geometry: Geometry
    pad: int = Field(default=0, ge=-1, le=1)
    epilogue: Epilogue = Epilogue()


class Map(Emission):
    """An ``f32`` value through an epilogue, pixel by pixel."""

    op: Literal["map"] = "map"
    layer: Name
    input: Index
    epilogue: Epilogue = Epilogue()


class Pool(Record):
    """Pooling, channel by channel; padded and (where the window of ``ceil`` leaves the map) missing taps
    never win a maximum.

    ``max``, ``f32``: the maximum; NaN wins. ``max``, ``bits`` of one plane: the pixel is +1 if any tap is +1;
    where ``flip`` (a channel whose threshold falls), only if all taps are. ``average``, ``f32``: the sum in
    row order, divided by the number of taps inside the padded map (``include_padding``) or inside the map. As
    in PyTorch, ``ceil`` drops a last window that would begin outside the map and its left padding.
    """

    op: Literal["pool"] = "pool"
    layer: Name
    input: Index
    output: Index
    kind: Literal["max", "average"]
    geometry: Geometry
    ceil: bool = False
    include_padding: bool = True
    flip: Name | None = None
    """uint8 C of 0 and 1; ``bits`` only."""


class InputScale(Record):
    """K of XNOR-Net: the box-filtered mean of |x| over the channels of a group; H′×W′×groups. Padding counts
    as 0, the divisor is always Kh·Kw. Added in float64, divided once by Kh·Kw·channels of a group, rounded
    once to float32."""

    op: Literal["input_scale"] = "input_scale"
    layer: Name
    input: Index
    output: Index
    geometry: Geometry


class Subsample(Record):
    """Every ``stride``-th pixel, from the first; channel c goes to ``before`` + c, the other channels of the
    output are 0."""

    op: Literal["subsample"] = "subsample"
    layer: Name
    input: Index
    output: Index
    stride: Pair
    before: int = Field(default=0, ge=0)


class Mean(Record):
    """The mean of each map; 1×1×C. Added and divided in float64, rounded once to float32."""

    op: Literal["mean"] = "mean"
    layer: Name
    input: Index
    output: Index


Step = Annotated[Conv | Map | Pool | InputScale | Subsample | Mean, Field(discriminator="op")]


class Program(Record):
    """Value 0 is the input (``u8``, or ``f32`` behind a preprocessing); every other value is written by
    exactly one step before any reads it."""

    values: Annotated[tuple[Value, ...], FailFast(), Field(strict=False, min_length=2, max_length=4096)]
    steps: Annotated[tuple[Step, ...], FailFast(), Field(strict=False, min_length=1, max_length=4096)]
    output: Index
    """An ``f32`` value of 1×1×classes."""


class Preprocess(Record):
    """A real-valued step on the pixels that no layer could absorb, computed in float32 before the program.

    ``scale01``: x/255. ``signed``: x·(2/255) − 1. ``mean_std``: (x/255 − mean)/std. ``pixel_mean``: x/255 −
    mean. ``gcn``, ``zca``, ``lcn``: as in ``data.normalize``, whose statistics they carry.
    """

    kind: Literal["scale01", "signed", "mean_std", "pixel_mean", "gcn", "zca", "lcn"]
    options: dict[str, float | int | str] = Field(default={})
    """The step's settings, by the names of the config; all of them (``zca``: may be left out)."""
    tensors: dict[str, Name] = Field(default={})
    """Its statistics, by the names of ``Normalizer.state``; float32, in the shapes given there (C×H×W
    order)."""


class Images(Later):
    """What the model wants to see: uint8 N×H×W×C of this size, and how a file becomes that."""

    height: Size
    width: Size
    channels: Size
    resize: int | None = None
    """Shorter side after resizing, before the centre crop; absent: files must have the size itself."""
    preprocess: Annotated[tuple[Preprocess, ...], FailFast(), Field(strict=False, max_length=16)] = ()
    """Empty where the first layer absorbed the normalization."""
    exif: Annotated[Literal["ignore", "apply"], LATER] = "ignore"
    """Whether a file is turned as its EXIF data say."""


class Header(Record):
    """Everything in the file but the tensors."""

    version: int
    images: Images
    classes: Annotated[tuple[str, ...], FailFast(), Field(strict=False, min_length=1, max_length=2**16)]
    method: str
    model: str
    program: Program
    experiment: dict[str, object]
    """The resolved config of the run, for people and ``bnn-eval``."""
    made_by: str
    """Name and version of the program that wrote the file."""
