"""Nodes and constants of a graph in the making, in ONNX's words but without its library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arithmetic = Literal["exact", "float32"]


@dataclass(frozen=True)
class Node:
    """An operator: its inputs and its one output by name."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]
    domain: str = ""


@dataclass
class Graph:
    """All that has been written so far. Numbers are float32, in the order N×C×H×W, unless said."""

    arithmetic: Arithmetic = "exact"
    """``float32``: no other type, each operation as the runtime does it; else all as the format says."""
    layer: str = "input"
    """The step at work; nodes are named by it."""
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    halves: set[str] = field(default_factory=set)
    """Constants of uint16 that are the upper halves of float32 (bfloat16)."""
    _names: dict[str, int] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], str] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether results must be those of the format, bit for bit."""
        return self.arithmetic == "exact"

    def op(self, kind: str, *inputs: str, domain: str = "", output: str | None = None, **more: Any) -> str:
        """An operator's output."""
        name = output or self._fresh(kind.lower())
        self.nodes.append(Node(kind, inputs, name, more, domain))
        return name

    def constant(self, array: Any, dtype: Any = None, name: str = "constant") -> str:
        """A constant; equal ones are stored once."""
        made = np.ascontiguousarray(array, dtype=dtype)
        made = made.reshape(np.shape(array))
        key = (made.dtype.str, made.shape, made.tobytes())
        if key not in self._known:
            self._known[key] = self._fresh(name)
            self.constants[self._known[key]] = made
        return self._known[key]

    def keep(self, names: set[str]) -> None:
        """Drop all other constants."""
        self.constants = {name: array for name, array in self.constants.items() if name in names}
        self._known = {key: name for key, name in self._known.items() if name in names}

    def bfloat16(self, halves: Array) -> str:
        """A constant of the upper halves of float32."""
        name = self._fresh("bfloat16")
        self.constants[name] = halves
        self.halves.add(name)
        return name

    def _fresh(self, kind: str) -> str:
        stem = f"{self.layer}.{kind}"
        count = self._names[stem] = self._names.get(stem, 0) + 1
        return stem if count == 1 else f"{stem}.{count}"

    # ------------------------------------------------------------------ operators with constants in them

    def number(self, value: float, dtype: Any = np.float32) -> str:
        """A scalar."""
        return self.constant(np.array(value, dtype))

    def whole(self, *values: int) -> str:
        """A list of whole numbers, for shapes, axes and places."""
        return self.constant(np.array(values, np.int64))

    def channelwise(self, numbers: Array, dtype: Any = None) -> str:
        """One number for each channel, in the shape C×1×1 that meets N×C×H×W."""
        return self.constant(np.asarray(numbers).reshape(-1, 1, 1), dtype)

    def cast(self, x: str, dtype: Any) -> str:
        """In another type; a float64 is rounded to nearest."""
        return self.op("Cast", x, to=np.dtype(dtype))

    def reshape(self, x: str, *shape: int) -> str:
        """0: as it was; −1: what is left."""
        return self.op("Reshape", x, self.whole(*shape))

    def slice(
        self,
        x: str,
        axes: Sequence[int],
        starts: Sequence[int],
        ends: Sequence[int],
        steps: Sequence[int] | None = None,
    ) -> str:
        """A part of an array."""
        places = (self.whole(*starts), self.whole(*ends), self.whole(*axes))
        return self.op("Slice", x, *places, self.whole(*(steps or [1] * len(axes))))

    def pad(self, x: str, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> str:
        """Rows and columns around a map; x itself where there are none."""
        if not any((*before, *after)):
            return x
        room = self.whole(0, 0, *before, 0, 0, *after)
        return self.op("Pad", x, room, self.number(value), mode="constant")

    def settled(self, x: str) -> str:
        """A float32 that no optimizer draws the following operations into: ONNX Runtime multiplies a
        convolution's weights with what follows it, which rounds otherwise, but not across a type."""
        return self.cast(self.cast(x, np.float64), np.float32) if self.exact else x
