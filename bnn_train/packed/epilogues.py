"""The arithmetic between a product and its thresholds, and the thresholds: data only, as it stands in the
file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from bnn_train.packed.later import LATER, Later
from bnn_train.packed.operands import Index, Name
from bnn_train.spec.record import Record


class Prelu(Record):
    """A line with a bend, channel by channel: in float32, each operation rounded once, in this order; absent
    ones are left out. Since version 2.

        y = y + before[c]
        y = y · negative[c] where y < 0, elsewhere y · positive[c]
        y = y + after[c]
    """

    negative: Name
    """float32 O, as all of them."""
    positive: Name | None = None
    before: Name | None = None
    after: Name | None = None

    @property
    def names(self) -> tuple[Name, ...]:
        """Its tensors."""
        found = (self.before, self.negative, self.positive, self.after)
        return tuple(name for name in found if name is not None)


def _spelled_as(activation: Any) -> str:
    return "word" if isinstance(activation, str) else "prelu"


Activation = Annotated[
    Annotated[Literal["none", "relu", "hardtanh", "sigmoid"], Tag("word")] | Annotated[Prelu, Tag("prelu")],
    Discriminator(_spelled_as),
]
"""``relu``: 0 where y < 0; ``hardtanh``: −1 where y < −1, 1 where y > 1; elsewhere y itself, NaN and −0.0
included. ``sigmoid``: 1/(1 + e^−y), by the operations of ``reference.sigmoid``; since version 2."""


class Epilogue(Later):
    """From a product to a real value, in float32, each line rounded once, in this order; absent lines are
    left out.

        y = y · scale[c]
        y = y · K[pixel, group of c]
        y = y + bias[border class of the pixel, c]
        y = y · gate[c]
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
    gate: Annotated[Index | None, LATER] = None
    """An ``f32`` value of 1×1×O: a factor for each channel, made for each image. Since version 2."""
    norm: Annotated[tuple[Name, Name], Field(strict=False)] | None = None
    """float32 O each: factor and summand."""
    activation: Activation = "none"
    residual: Index | None = None
    """An ``f32`` value of the output's shape."""
    stream: Activation = "none"

    @property
    def bends(self) -> tuple[Activation, Activation]:
        """The two nonlinearities, in their order."""
        return self.activation, self.stream

    @property
    def is_later(self) -> bool:
        """Whether something here came with version 2."""
        return self.gate is not None or any(isinstance(b, Prelu) or b == "sigmoid" for b in self.bends)


class Thresholds(Record):
    """The comparisons that turn a number into bits. A threshold t is failed iff y < t (or, where ``flip``,
    y > t), else passed; NaN passes.

    Of a ``Code`` with P planes there are L = 2^P − 1 thresholds; the count of those passed, written in P
    binary digits, is the pattern of bits, a digit 0 as the sign −1. So it is with ``Planes`` that are
    ``digits``; of others there are L = P: plane p is +1 iff threshold p is passed.

    int32 thresholds lie in [−b − 1, b + 1], b = ``tensor_rules.product_bound``; one that always passes is −b
    − 1 (``flip``: b + 1), one that never does b + 1 (−b − 1). Real ones are finite; one that passes (fails)
    for every finite y but the largest float32 itself is −3.4028235e38 (3.4028235e38), with ``flip`` the other
    way round.
    """

    tensor: Name
    """L×O. int32: compared with the whole-number product itself, and the step has no epilogue; float32: with
    the epilogue's result."""
    flip: Name | None = None
    """uint8 O of 0 and 1, for all thresholds of a channel; absent: all 0."""
