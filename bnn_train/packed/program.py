"""The packed program: typed values and a flat list of steps over them. Data only, as it stands in the file.

Arrays are channel-last: a ``u8`` or ``f32`` value is N×H×W×C, a ``bits`` value uint32 N×H×W×P×⌈C/32⌉: P
planes, channel c at bit c mod 32 of word c // 32, unused bits 0. A set bit is the sign −1. A dense layer is a
convolution whose kernel is the whole map, so nothing is ever flattened. ``reference`` is the same in numpy,
``FORMAT.md`` the specification.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import FailFast, Field

from bnn_train.packed.epilogues import Activation, Epilogue, Prelu, Thresholds
from bnn_train.packed.later import LATER, Later
from bnn_train.packed.operands import (
    AnyCode,
    BitWeight,
    Code,
    Geometry,
    Index,
    IntWeight,
    Name,
    Pair,
    Planes,
    RealWeight,
    Size,
    Value,
    Weight,
)
from bnn_train.spec.record import Record

__all__ = [
    "VERSION",
    "Activation",
    "AnyCode",
    "BitWeight",
    "Channels",
    "Code",
    "Concat",
    "Conv",
    "Epilogue",
    "EpilogueStep",
    "Geometry",
    "Header",
    "Images",
    "Index",
    "InputScale",
    "IntWeight",
    "Map",
    "Mean",
    "Name",
    "Pair",
    "Planes",
    "Pool",
    "Prelu",
    "Preprocess",
    "Program",
    "RealWeight",
    "Size",
    "Step",
    "Subsample",
    "Thresholds",
    "Value",
    "Weight",
    "version_of",
]  # fmt: skip

VERSION = 2
"""The newest version of the format; files of every version from 1 on are read."""


class EpilogueStep(Later):
    """A step whose numbers go through an epilogue, and on as a real value, as bits, or both."""

    output: Index | None = None
    """An ``f32`` value."""
    bits: Index | None = None
    thresholds: Thresholds | None = None
    """Given with ``bits`` and only with them."""


class Conv(EpilogueStep):
    """Σ over the window of input · weight, then ``epilogue``; ``thresholds`` see its result, whole ones the
    product.

    input × weight: ``bits`` × ``bits`` → whole number, exact (int32); ``u8`` × ``bits`` or ``int`` → whole
    number, exact (int64); ``f32`` × anything → float32, the order of the sum left open. Padded taps of ``u8``
    and ``f32`` inputs contribute 0; those of ``bits`` inputs have the code ``pad``, which need not be one of
    the input's codes.

    ``bits`` × ``bits`` with ``Planes`` on either side → float32, each operation rounded once:

        y[c] = Σ_p Σ_q t_pq·float32(dot_pq),   t_pq = weight.factors[p, c]·input_factors[q]

    p (outer) over the weight's planes, q (inner) over the input's, added in this order, the first term taken
    as it is. dot_pq is the exact int32 product of those two planes; padded taps have the sign ``pad`` in
    every plane, or count nothing where it is 0. A ``Code`` on one side is a single plane whose numbers are
    its whole codes and whose factor is left out.
    """

    op: Literal["conv"] = "conv"
    layer: Name
    input: Index
    weight: Weight
    geometry: Geometry
    pad: int = Field(default=0, ge=-1, le=1)
    epilogue: Epilogue = Epilogue()
    input_factors: Annotated[Name | None, LATER] = None
    """float32 Q: what each plane of the input counts for; given where its code is ``Planes`` and only
    there."""


class Map(EpilogueStep):
    """An ``f32`` value through an epilogue, pixel by pixel."""

    op: Literal["map"] = "map"
    layer: Name
    input: Index
    epilogue: Epilogue = Epilogue()


class Pool(Record):
    """Pooling, channel by channel; padded and (where the window of ``ceil`` leaves the map) missing taps
    never win a maximum.

    ``max``, ``f32``: the maximum; NaN wins. ``max``, ``bits`` of one plane or of ``Planes`` that are no
    ``digits``, plane by plane: the pixel is +1 if any tap is +1; where ``flip`` (a channel whose threshold
    falls), only if all taps are.
    ``average``, ``f32``: the sum in row order, divided by the number of taps inside the padded map
    (``include_padding``) or inside the map. As in PyTorch, ``ceil`` drops a last window that would begin
    outside the map and its left padding.
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


class Concat(Record):
    """The channels of ``input``, behind them those of ``second``. Since version 2."""

    op: Literal["concat"] = "concat"
    layer: Name
    input: Index
    second: Index
    """An ``f32`` value of the same height and width."""
    output: Index


class Channels(Record):
    """As many channels as the output has, from channel ``start`` on. Since version 2."""

    op: Literal["channels"] = "channels"
    layer: Name
    input: Index
    output: Index
    start: int = Field(ge=0)


Step = Annotated[
    Conv | Map | Pool | InputScale | Subsample | Mean | Concat | Channels, Field(discriminator="op")
]


class Program(Record):
    """Value 0 is the input (``u8``, or ``f32`` behind a preprocessing); every other value is written by
    exactly one step before any reads it."""

    values: Annotated[tuple[Value, ...], FailFast(), Field(strict=False, min_length=2, max_length=4096)]
    steps: Annotated[tuple[Step, ...], FailFast(), Field(strict=False, min_length=1, max_length=4096)]
    output: Index
    """An ``f32`` value of 1×1×classes."""


def version_of(program: Program) -> int:
    """The earliest version of the format that can hold a program: 2 with ``Planes``, ``Prelu``, ``sigmoid``,
    a gate, ``Concat`` or ``Channels``, else 1."""
    planes = any(isinstance(value.code, Planes) for value in program.values)
    return 2 if planes or any(map(_is_later, program.steps)) else 1


def _is_later(step: Step) -> bool:
    if isinstance(step, Concat | Channels):
        return True
    if isinstance(step, Conv) and isinstance(step.weight, BitWeight) and isinstance(step.weight.code, Planes):
        return True
    return isinstance(step, Conv | Map) and step.epilogue.is_later


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
    """The images that a model takes: uint8 N×H×W×C of this size, and how a file becomes that."""

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
    """``version_of`` its program."""
    images: Images
    classes: Annotated[tuple[str, ...], FailFast(), Field(strict=False, min_length=1, max_length=2**16)]
    method: str
    model: str
    program: Program
    experiment: dict[str, object]
    """The resolved config of the run, for people and ``bnn-eval``."""
    made_by: str
    """Name and version of the program that wrote the file."""
