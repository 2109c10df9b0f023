"""The operands of a packed program: values, the codes that their bits stand for, windows and weights.

Data only, as it stands in the file; ``FORMAT.md`` is the specification.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, FailFast, Field, Tag

from bnn_train.packed.later import LATER, Later
from bnn_train.spec.record import Record

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
"""A tensor of the file, or a layer."""
Size = Annotated[int, Field(ge=1, le=2**24)]
Index = Annotated[int, Field(ge=0, lt=4096)]
"""A value, by its place in ``Program.values``."""
Pair = Annotated[tuple[int, int], Field(strict=False)]
PlaneValue = Annotated[int, Field(ge=1, le=2**15)]


class Code(Record):
    """Whole numbers in P planes of signs s_p ∈ {−1, +1}: (offset + Σ_p values[p]·s_p) / denominator.

    Sign: (0, (1,), 1). Ternary: (0, (1, 1), 2). Unsigned codes 0…3: (3, (1, 2), 2), plane p the binary digit
    p of the code, digit 0 the sign −1.
    """

    offset: int = Field(default=0, ge=-(2**16), le=2**16)
    values: Annotated[tuple[PlaneValue, ...], FailFast(), Field(strict=False, min_length=1, max_length=8)] = (
        1,
    )
    denominator: int = Field(default=1, ge=1, le=2**8)

    @property
    def planes(self) -> int:
        """P."""
        return len(self.values)

    @property
    def apart(self) -> bool:
        """Whether each plane has a threshold of its own."""
        return self.planes == 1


class Planes(Later):
    """P signs of one number that stand for no whole number: real factors stand where they are multiplied, and
    each has a threshold of its own (ABC-Net's bases, Lin et al. 2017, eq. 6 and 11), or, as ``digits``, they
    have those of a ``Code`` together (the residual signs of ReBNet, LQ-Nets' levels). Since version 2."""

    count: int = Field(ge=1, le=8)
    digits: Annotated[bool, LATER] = False
    """Plane p is the binary digit p of the count of thresholds passed; of values of two planes or more."""

    @property
    def planes(self) -> int:
        """P."""
        return self.count

    @property
    def apart(self) -> bool:
        """Whether each plane has a threshold of its own."""
        return not self.digits


def _spelled_as(code: Any) -> str:
    keys = code if isinstance(code, dict) else type(code).model_fields if isinstance(code, Record) else ()
    return "planes" if "count" in keys else "code"


AnyCode = Annotated[
    Annotated[Code, Tag("code")] | Annotated[Planes, Tag("planes")], Discriminator(_spelled_as)
]
"""Told apart by their keys: ``count`` belongs to ``Planes`` alone."""
SIGN = Code()


def term_code(code: Code | Planes) -> Code:
    """The whole-number code of one term of a product: a code itself, of planes the sign of each."""
    return code if isinstance(code, Code) else SIGN


def threshold_count(code: Code | Planes) -> int:
    """The count of thresholds that make a number's bits: P of planes apart, else 2^P − 1."""
    return code.planes if code.apart else 2**code.planes - 1


def term_count(code: Code | Planes) -> int:
    """The count of terms that an operand brings to a product: 1 for a code, P for planes."""
    return 1 if isinstance(code, Code) else code.count


class Value(Record):
    """An array that a step reads or writes; one image's shape."""

    type: Literal["u8", "f32", "bits"]
    height: Size
    width: Size
    channels: Size
    code: AnyCode | None = None
    """Given for ``bits`` and only there."""


class Geometry(Record):
    """The walk of a window over a map, as in PyTorch. Rows first."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: Size = 1


class BitWeight(Later):
    """Quantized weights: for each plane and output channel the n = Kh·Kw·I bits of a filter in the order
    (row, column, input channel of the group), eight to a byte, lowest bit first, the last byte filled with
    zeros.

    ``Planes`` have no product with ``u8`` inputs; with an ``f32`` input they are the real weights Σ_p
    factors[p, c]·s_p, added in order of p in float32.
    """

    kind: Literal["bits"] = "bits"
    tensor: Name
    """uint8 P×O×⌈n/8⌉."""
    code: AnyCode = SIGN
    gain: Name | None = None
    """int32 I, with a ``u8`` input only: the whole-number factor (1…2²³−1) of each input channel of a group;
    absent: 1."""
    factors: Annotated[Name | None, LATER] = None
    """float32 P×O: what each plane counts for; given with ``Planes`` and only with them."""


class IntWeight(Record):
    """Whole-number weights Σ_d 256^d·digit_d with signed digits; real weights over a per-channel ``scale``.

    With a ``u8`` input, 1 to 3 digits; of two or more the sum is one of float32 in an agreed order
    (``adds_in_order``). With an ``f32`` input one digit, and the input of each image is itself
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


def adds_in_order(source: Value, weight: Weight, digits: int) -> bool:
    """Whether a product is the float32 sum s = fma(w, x, s) in the order (row, column, channel): of pixels by
    whole weights of so many ``digits``, two or more. float32 holds every such weight as it is."""
    return source.type == "u8" and isinstance(weight, IntWeight) and digits > 1
