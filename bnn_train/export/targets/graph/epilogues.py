"""The real arithmetic between a product and its thresholds: the format's operations in its order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.graph.graph import Graph
from bnn_train.packed.epilogues import Activation, Epilogue, Prelu
from bnn_train.packed.reference.sigmoid import COEFFICIENTS, LN2, MOST, PER_LN2

Array = NDArray[Any]
Tensors = Mapping[str, Array]


def epilogue(
    g: Graph,
    y: str,
    e: Epilogue,
    tensors: Tensors,
    values: Mapping[int, list[str]],
    classes: Array,
    groups: tuple[int, int],
) -> str:
    """``y``: float32 N×O×H×W; ``classes``: the border class of each pixel, H×W; ``groups``: of the product,
    and O."""
    if e.scale is not None:
        y = g.op("Mul", y, g.channelwise(tensors[e.scale]))
    if e.input_scale is not None:
        y = g.op("Mul", y, _repeated(g, values[e.input_scale][0], *groups))
    if e.bias is not None:
        y = g.op("Add", y, _bias(g, tensors[e.bias], classes))
    if e.gate is not None:
        y = g.op("Mul", y, values[e.gate][0])
    if e.norm is not None:
        y = fused(g, y, tensors[e.norm[0]], tensors[e.norm[1]])
    y = activate(g, y, e.activation, tensors)
    if e.residual is not None:
        y = g.op("Add", y, values[e.residual][0])
    return activate(g, y, e.stream, tensors)


def _repeated(g: Graph, k: str, groups: int, outputs: int) -> str:
    """N×groups×H×W with each number for all output channels of its group."""
    if groups in (1, outputs):
        return k
    return g.op("Gather", k, g.constant(np.repeat(np.arange(groups), outputs // groups), np.int32), axis=1)


def _bias(g: Graph, rows: Array, classes: Array) -> str:
    """One row for all pixels, or each pixel's own: O×H×W, gathered from the rows."""
    if len(rows) == 1:
        return g.channelwise(rows[0])
    chosen = g.op("Gather", g.constant(rows), g.constant(classes, np.int32, "classes"), axis=0)
    return g.op("Transpose", chosen, perm=[2, 0, 1])


def fused(g: Graph, y: str, factor: Array, summand: Array) -> str:
    """y·factor + summand with one rounding.

    The product of two float32 is exact in float64, the sum s is rounded there, and e = what that lost
    (Knuth's two-sum). float32(s) is the right answer but where s is the very middle of two float32: there e
    decides. The other neighbour of the middle is float32(s + (s − float32(s))).
    """
    if not g.exact:
        return g.op("Add", g.op("Mul", y, g.channelwise(factor)), g.channelwise(summand))
    wide = np.float64
    a = g.op("Mul", g.cast(y, wide), g.cast(g.channelwise(factor), wide))
    c = g.cast(g.channelwise(summand), wide)
    s = g.op("Add", a, c)
    back = g.op("Sub", s, a)
    e = g.op("Add", g.op("Sub", a, g.op("Sub", s, back)), g.op("Sub", c, back))
    near = g.cast(s, np.float32)
    beyond = g.op("Sub", s, g.cast(near, wide))
    other = g.cast(g.op("Add", s, beyond), np.float32)
    middle = g.op("Equal", beyond, g.op("Sub", g.cast(other, wide), s))
    outwards = g.op("Greater", g.op("Mul", beyond, e), g.number(0, wide))
    return g.op("Where", g.op("And", middle, outwards), other, near)


def activate(g: Graph, y: str, activation: Activation, tensors: Tensors) -> str:
    """A nonlinearity; comparisons, so that −0.0 and NaN pass as they are."""
    if isinstance(activation, Prelu):
        return _prelu(g, y, activation, tensors)
    if activation == "relu":
        return g.op("Where", g.op("Less", y, g.number(0)), g.number(0), y) if g.exact else g.op("Relu", y)
    if activation == "hardtanh":
        if not g.exact:
            return g.op("Clip", y, g.number(-1), g.number(1))
        low = g.op("Where", g.op("Less", y, g.number(-1)), g.number(-1), y)
        return g.op("Where", g.op("Greater", y, g.number(1)), g.number(1), low)
    if activation == "sigmoid":
        return _sigmoid(g, y) if g.exact else g.op("Sigmoid", y)
    return y


def _prelu(g: Graph, y: str, bend: Prelu, tensors: Tensors) -> str:
    if bend.before is not None:
        y = g.op("Add", y, g.channelwise(tensors[bend.before]))
    above = y if bend.positive is None else g.op("Mul", y, g.channelwise(tensors[bend.positive]))
    below = g.op("Mul", y, g.channelwise(tensors[bend.negative]))
    y = g.op("Where", g.op("Less", y, g.number(0)), below, above)
    return y if bend.after is None else g.op("Add", y, g.channelwise(tensors[bend.after]))


def _sigmoid(g: Graph, y: str) -> str:
    """The format's operations in float64; the powers of 2 from a table."""

    def number(value: float) -> str:
        return g.number(value, np.float64)

    wide = g.cast(y, np.float64)
    t = g.op("Neg", g.op("Min", g.op("Abs", wide), number(MOST)))
    k = g.op("Round", g.op("Mul", t, number(PER_LN2)))
    r = g.op("Sub", t, g.op("Mul", k, number(LN2[0])))
    r = g.op("Sub", r, g.op("Mul", k, number(LN2[1])))
    p = number(COEFFICIENTS[13])
    for c in COEFFICIENTS[12::-1]:
        p = g.op("Add", g.op("Mul", p, r), number(c))
    least = int(np.rint(MOST * PER_LN2))
    powers = g.constant(np.ldexp(1.0, -np.arange(least + 1)), np.float64, "powers")
    place = g.op("Where", g.op("Equal", k, k), g.op("Neg", k), number(0))
    e = g.op("Mul", p, g.op("Gather", powers, g.cast(place, np.int64), axis=0))
    one = number(1)
    above = g.op("Where", g.op("Less", wide, number(0)), e, one)
    return g.cast(g.op("Div", above, g.op("Add", one, e)), np.float32)
