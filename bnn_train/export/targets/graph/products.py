"""Sums over a window: whole numbers kept exact in float32 convolutions, reals, and planes with factors.

A float32 adds whole numbers exactly while no partial sum leaves ±2²⁴. Larger weights are taken apart into
digits small enough for that, one convolution each, and their sums put together in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import ExportError
from bnn_train.export.targets.graph.graph import Graph
from bnn_train.export.targets.graph.weights import Filters
from bnn_train.packed import bits
from bnn_train.packed.operands import BitWeight, Code, IntWeight, Planes, Value, term_code
from bnn_train.packed.program import Conv

Array = NDArray[Any]
Tensors = Mapping[str, Array]
EXACT = 2**24
PIXEL, ROUNDED = 255, 127
"""The largest input of a whole product, of bytes and of reals rounded to 8 bits."""


class Sum(NamedTuple):
    """A product's result."""

    name: str
    dtype: Any
    """float32 or float64."""
    whole: bool


class Term(NamedTuple):
    """A part of a whole weight: factor · (O×Kh×Kw×I, float32)."""

    factor: int
    weight: str


@dataclass(frozen=True)
class Window:
    """A convolution step's walk; ``source``: the map that it walks over."""

    step: Conv
    source: Value

    @property
    def is_dense(self) -> bool:
        """Whether the window is the whole map, so that the sum is a matrix product."""
        g, map_size = self.step.geometry, (self.source.height, self.source.width)
        return g.kernel == map_size and g.padding == (0, 0) and g.groups == 1

    def sums(self, g: Graph, x: str, weight: str) -> str:
        """Σ over the window, N×O×H′×W′, in the type of both. ``weight``: O×Kh×Kw×I."""
        if self.is_dense:
            size = self.source.height * self.source.width * self.source.channels
            columns = g.reshape(g.op("Transpose", weight, perm=[3, 1, 2, 0]), size, -1)
            return g.reshape(g.op("MatMul", g.reshape(x, 0, -1), columns), 0, -1, 1, 1)
        geometry, rows = self.step.geometry, self.step.geometry.padding
        if self.step.pad:
            x, rows = g.pad(x, rows, rows, self.step.pad), (0, 0)
        return g.op(
            "Conv",
            x,
            g.op("Transpose", weight, perm=[0, 3, 1, 2]),
            kernel_shape=list(geometry.kernel),
            strides=list(geometry.stride),
            dilations=list(geometry.dilation),
            pads=[*rows, *rows],
            group=geometry.groups,
        )


def product(g: Graph, x: list[str], window: Window, filters: Filters) -> Sum:
    """The sum of a convolution step. ``x``: its input, a tensor for each plane with a factor, or one."""
    source, weight = window.source, window.step.weight
    if source.code is not None and isinstance(weight, BitWeight):
        return _signs(g, x, window, filters, source.code, weight.code)
    if isinstance(weight, IntWeight) and source.type == "f32":
        return _rounded(g, x[0], window, filters)
    if source.type == "u8":
        return whole(g, x[0], window, filters, PIXEL)
    return Sum(window.sums(g, x[0], filters.reals(g)), np.float32, False)


def _signs(
    g: Graph, x: list[str], window: Window, filters: Filters, a: Code | Planes, w: Code | Planes
) -> Sum:
    """Bits with bits: whole codes, or y = Σ_p Σ_q t_pq·dot_pq with real factors, weight's planes outside."""
    most = int(np.abs(bits.code_numbers(term_code(a))).max())
    if isinstance(a, Code) and isinstance(w, Code):
        return whole(g, x[0], window, filters, max(most, abs(window.step.pad)))
    weights = filters.planes(g) if isinstance(w, Planes) else [filters.codes(g, w)]
    largest = filters.count * max(most, abs(window.step.pad)) * filters.largest
    if largest >= EXACT:
        raise ExportError(
            f"{window.step.layer}: its sums of {filters.count} codes leave float32's whole numbers"
        )
    total = ""
    for p, weight in enumerate(weights):
        for q, plane in enumerate(x):
            dot = g.settled(window.sums(g, plane, weight))
            term = g.op("Mul", dot, g.channelwise(_factor(window.step, filters, p, q), np.float32))
            total = g.op("Add", total, term) if total else term
    return Sum(total, np.float32, False)


def _factor(step: Conv, filters: Filters, p: int, q: int) -> Array:
    """f_p[c]·g_q rounded once, or the one of them that there is."""
    weight = step.weight
    factors = filters.tensors[weight.factors] if isinstance(weight, BitWeight) and weight.factors else None
    own = np.ones(1, np.float32) if factors is None else factors[p]
    inputs = None if step.input_factors is None else filters.tensors[step.input_factors]
    return np.asarray(own if inputs is None else own * inputs[q], dtype=np.float32)


def _rounded(g: Graph, x: str, window: Window, filters: Filters) -> Sum:
    """x rounded to 8 bits, image by image: m = max |x|, q = rint(x·(127/m)), y = (Σ q·w)·(m/127)."""
    m = g.op("ReduceMax", g.op("Abs", x), g.whole(1, 2, 3), keepdims=1)
    factor = g.op("Div", g.number(ROUNDED), m)
    usable = g.op("And", g.op("Less", factor, g.number(np.inf)), g.op("Greater", factor, g.number(0)))
    q = g.op("Where", usable, g.op("Round", g.op("Mul", x, factor)), g.number(0))
    found = whole(g, q, window, filters, ROUNDED)
    y = g.cast(found.name, np.float32) if found.dtype != np.float32 else g.settled(found.name)
    return Sum(g.op("Mul", y, g.op("Div", m, g.number(ROUNDED))), np.float32, False)


def whole(g: Graph, x: str, window: Window, filters: Filters, most: int) -> Sum:
    """Whole numbers of at most ``most`` with whole weights, exact but in plain float32 arithmetic."""
    room = (EXACT - 1) // (filters.count * most)
    terms = _terms(g, filters, room if g.exact else EXACT)
    if terms is None and window.is_dense:
        wide = _put_together(g, _terms(g, filters, EXACT) or [], np.float64)
        return Sum(window.sums(g, g.cast(x, np.float64), wide), np.float64, True)
    if terms is None:
        raise ExportError(
            f"{window.step.layer}: its sums of {filters.count} numbers leave what float32 convolutions add"
            " exactly; give --with arithmetic=float32, or keep the packed file"
        )
    if not g.exact:
        return Sum(window.sums(g, x, _put_together(g, terms, np.float32)), np.float32, True)
    sums = [Term(term.factor, window.sums(g, x, term.weight)) for term in terms]
    if len(sums) == 1:
        return Sum(sums[0].weight, np.float32, True)
    return Sum(_put_together(g, sums, np.float64), np.float64, True)


def _put_together(g: Graph, terms: list[Term], dtype: Any) -> str:
    """Σ factor · term."""
    total = ""
    for factor, name in terms:
        part = name if dtype == np.float32 else g.cast(name, dtype)
        part = part if factor == 1 else g.op("Mul", part, g.number(factor, dtype))
        total = g.op("Add", total, part) if total else part
    return total


def _terms(g: Graph, filters: Filters, room: int) -> list[Term] | None:
    """Weights as a sum of terms whose numbers are at most ``room``; None where there is too little."""
    weight = filters.weight
    if isinstance(weight, IntWeight):
        return _of_digits(g, filters, weight, room)
    if not isinstance(weight, BitWeight) or not isinstance(weight.code, Code) or room < filters.largest:
        return None
    codes = filters.codes(g, weight.code)
    if weight.gain is None:
        return [Term(1, codes)]
    gains = filters.tensors[weight.gain].astype(np.int64)
    parts = _split(gains, room // filters.largest)
    return [Term(f, g.op("Mul", codes, g.constant(part, np.float32, "gain"))) for f, part in parts]


def _of_digits(g: Graph, filters: Filters, weight: IntWeight, room: int) -> list[Term] | None:
    stored = filters.tensors[weight.tensor]
    parts = [(256**d, digits) for d, digits in enumerate(stored)]
    if room < 128:
        parts = _split(filters.digits(), room)
    found = [Term(f, g.cast(g.constant(part, np.int8, "digits"), np.float32)) for f, part in parts]
    return found or None


def _split(numbers: NDArray[np.int64], most: int) -> list[tuple[int, Array]]:
    """Σ factor · part with parts of at most ``most``; none where that is below 1."""
    found: list[tuple[int, Array]] = []
    base, left, factor = 2 * most + 1, numbers, 1
    while most >= 1 and (left.any() or not found):
        carried = (left + most) // base
        found.append((factor, left - base * carried))
        left, factor = carried, factor * base
    return found
