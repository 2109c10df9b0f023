"""Descriptors of steps: C initialisers, and the features of the runtime that they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from bnn_train.errors import ExportError
from bnn_train.export.targets.c.arrays import Arrays
from bnn_train.packed.program import Geometry, Value
from bnn_train.packed.shapes import output_size

_LARGEST = 2**15 - 1
_WHAT = {"in": "a side of its input", "out": "a side of its result"}
Fields = dict[str, Any]
"""C names to C expressions, or to nested ones."""


@dataclass
class Gathered:
    """Arrays, features and ranges that the steps of a network need, noted as they are gone through."""

    tensors: Mapping[str, NDArray[Any]]
    arrays: Arrays = field(default_factory=Arrays)
    features: set[str] = field(default_factory=set)
    whole: int = 0
    """The largest magnitude that a whole product meets."""
    limits: tuple[int, int] = (0, 0)
    ints: tuple[int, int] = (0, 0)

    def widen_ints(self, low: int, high: int) -> None:
        """Note the range of whole-number weights."""
        self.ints = min(self.ints[0], low), max(self.ints[1], high)

    def widen_limits(self, low: int, high: int) -> None:
        """Note the range of whole-number thresholds."""
        self.limits = min(self.limits[0], low), max(self.limits[1], high)


def initialiser(fields: Fields, lines: bool = False) -> str:
    """``{.name = expression, …}``; ``lines``: each on its own."""
    parts = [f".{name} = {_expression(value)}" for name, value in fields.items()]
    return (
        "{\n" + "".join(f"    {part},\n" for part in parts) + "}" if lines else "{" + ", ".join(parts) + "}"
    )


def _expression(value: Any) -> str:
    return initialiser(value) if isinstance(value, dict) else str(value)


def window(layer: str, g: Geometry, source: Value, size: tuple[int, int] | None = None) -> Fields:
    """The walk of a window; ``size``: where it is not what the geometry alone says."""
    out = size or output_size(g, source.height, source.width)
    pairs = {
        "in": (source.height, source.width),
        "out": out,
        "kernel": g.kernel,
        "stride": g.stride,
        "padding": g.padding,
        "dilation": g.dilation,
    }
    for name, pair in pairs.items():
        _check_small(layer, _WHAT.get(name, f"the {name} of its window"), max(pair))
    return {name: f"{{{a}, {b}}}" for name, (a, b) in pairs.items()}


def _check_small(layer: str, what: str, number: int) -> None:
    """Raises ExportError for a number that C does not keep in 16 bits."""
    if number > _LARGEST:
        raise ExportError(
            f"{layer}: {what} is {number}; the C runtime counts to {_LARGEST}; choose another format"
        )
