"""Weights in a graph: bits eight to a byte, taken apart by operators that runtimes fold as they load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.graph.graph import Graph
from bnn_train.packed import bits
from bnn_train.packed.operands import BitWeight, Code, Geometry, IntWeight, RealWeight

Array = NDArray[Any]
Tensors = Mapping[str, Array]
Stored = Literal["packed", "int8", "float32"]


class Signs(Protocol):
    """The signs of a weight's planes as ±1: P×O×Kh×Kw×I."""

    def __call__(self, g: Graph, rows: Array, shape: tuple[int, int, int]) -> str: ...


@dataclass(frozen=True)
class StoredSigns:
    """Signs as bytes of eight bits, as int8 or as float32."""

    form: Stored = "packed"

    def __call__(self, g: Graph, rows: Array, shape: tuple[int, int, int]) -> str:
        if self.form == "packed":
            return _unpacked(g, rows, shape)
        signs = 1 - 2 * bits.filter_signs(rows, shape).astype(np.int8)
        if self.form == "int8":
            return g.cast(g.constant(signs, np.int8, "weight"), np.float32)
        return g.constant(signs, np.float32, "weight")


def _unpacked(g: Graph, rows: Array, shape: tuple[int, int, int]) -> str:
    """The format's rows, uint8 P×O×⌈n/8⌉, lowest bit first; a set bit is −1."""
    planes, outputs, octets = rows.shape
    count = shape[0] * shape[1] * shape[2]
    stored = g.constant(rows.reshape(planes, outputs, octets, 1), np.uint8, "weight")
    shifted = g.op("BitShift", stored, g.constant(np.arange(8), np.uint8), direction="RIGHT")
    single = g.op("BitwiseAnd", shifted, g.constant(1, np.uint8))
    flat = g.reshape(single, planes, outputs, octets * 8)
    if count != octets * 8:
        flat = g.slice(flat, [2], [0], [count])
    numbers = g.op("Mul", g.cast(flat, np.float32), g.number(2))
    return g.reshape(g.op("Sub", g.number(1), numbers), planes, outputs, *shape)


@dataclass(frozen=True)
class Filters:
    """The weights of a convolution on their way into a graph."""

    weight: BitWeight | IntWeight | RealWeight
    tensors: Tensors
    geometry: Geometry
    inner: int
    """Input channels of a group."""
    signs: Signs

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, channels of a filter."""
        return (*self.geometry.kernel, self.inner)

    @property
    def count(self) -> int:
        """Numbers of a filter."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def outputs(self) -> int:
        """O."""
        return int(self.tensors[self.weight.tensor].shape[0 if isinstance(self.weight, RealWeight) else 1])

    @cached_property
    def largest(self) -> int:
        """The largest |code| of bits, without the gain."""
        code = self.weight.code if isinstance(self.weight, BitWeight) else None
        return int(np.abs(bits.code_numbers(code)).max()) if isinstance(code, Code) else 1

    def planes(self, g: Graph) -> list[str]:
        """Each plane's signs, O×Kh×Kw×I."""
        rows = self.tensors[self.weight.tensor]
        found = self.signs(g, rows, self.shape)
        if len(rows) == 1:
            return [g.reshape(found, -1, *self.shape)]
        parts = [g.slice(found, [0], [p], [p + 1]) for p in range(len(rows))]
        return [g.reshape(part, -1, *self.shape) for part in parts]

    def codes(self, g: Graph, code: Code) -> str:
        """Whole codes O×Kh×Kw×I, without the gain: (offset + Σ_p values[p]·s_p)/denominator."""
        total = ""
        for value, plane in zip(code.values, self.planes(g), strict=True):
            term = plane if value == 1 else g.op("Mul", plane, g.number(value))
            total = g.op("Add", total, term) if total else term
        if code.offset:
            total = g.op("Add", total, g.number(code.offset))
        return g.op("Div", total, g.number(code.denominator)) if code.denominator != 1 else total

    def reals(self, g: Graph) -> str:
        """float32 O×Kh×Kw×I."""
        weight = self.weight
        if isinstance(weight, BitWeight) and isinstance(weight.code, Code):
            return self.codes(g, weight.code)
        if isinstance(weight, BitWeight):
            return self._factored(g, self.tensors[weight.factors or ""])
        stored = self.tensors[weight.tensor]
        if stored.dtype == np.uint16:
            return g.cast(g.bfloat16(stored), np.float32)
        return g.constant(stored, np.float32, "weight")

    def _factored(self, g: Graph, factors: Array) -> str:
        """Σ_p factors[p, c]·s_p, in order of p in float32."""
        total = ""
        for plane, factor in zip(self.planes(g), factors, strict=True):
            term = g.op("Mul", plane, g.constant(factor.reshape(-1, 1, 1, 1), np.float32))
            total = g.op("Add", total, term) if total else term
        return total

    def digits(self) -> NDArray[np.int64]:
        """Whole weights O×Kh×Kw×I of an ``IntWeight``, or of bits with their gain."""
        weight = self.weight
        if isinstance(weight, BitWeight):
            code = weight.code if isinstance(weight.code, Code) else Code()
            found = bits.filter_codes(self.tensors[weight.tensor], self.shape, code).astype(np.int64)
            return found if weight.gain is None else found * self.tensors[weight.gain]
        stored = self.tensors[weight.tensor].astype(np.int64)
        return np.asarray(np.einsum("d...,d->...", stored, 256 ** np.arange(len(stored), dtype=np.int64)))
