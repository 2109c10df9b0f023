"""From numbers to codes: comparisons with thresholds, each plane's sign or the count of those passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.graph.graph import Graph
from bnn_train.packed import bits
from bnn_train.packed.epilogues import Thresholds
from bnn_train.packed.operands import SIGN, Code, Planes

Array = NDArray[Any]


class Sign(Protocol):
    """+1 where a threshold is passed, else −1; float32. ``y`` and ``limit`` are of one type."""

    def __call__(self, g: Graph, y: str, limit: str) -> str: ...


def compared(g: Graph, y: str, limit: str) -> str:
    """By a comparison: y < limit fails, NaN and ±0.0 at 0 pass."""
    return g.op("Where", g.op("Less", y, limit), g.number(-1), g.number(1))


class Rule(NamedTuple):
    """How a step makes bits."""

    thresholds: Thresholds
    code: Code | Planes
    sign: Sign


def quantized(g: Graph, y: str, dtype: Any, rule: Rule, tensors: Mapping[str, Array]) -> list[str]:
    """Codes of N×O×H×W numbers of a type: one tensor of a ``Code``, one of signs for each of ``Planes``."""
    limits, code = tensors[rule.thresholds.tensor], rule.code
    if rule.thresholds.flip is not None:
        falls = np.where(tensors[rule.thresholds.flip].astype(np.bool_), -1, 1)
        y = g.op("Mul", y, g.channelwise(falls, dtype))  # y > t as −y < −t, which rounds nothing
        limits = limits * falls.astype(limits.dtype)
    signs = [rule.sign(g, y, _limit(g, limit, dtype)) for limit in limits]
    if code == SIGN or (isinstance(code, Planes) and code.apart):
        return signs
    count = len(limits)
    total = signs[0]
    for sign in signs[1:]:
        total = g.op("Add", total, sign)
    passed = g.op("Mul", g.op("Add", total, g.number(count)), g.number(0.5))
    if isinstance(code, Code):
        return [_looked_up(g, passed, bits.code_numbers(code))]
    numbers = np.arange(2**code.planes)
    return [_looked_up(g, passed, 2 * (numbers >> p & 1) - 1) for p in range(code.planes)]


def _limit(g: Graph, limit: Array, dtype: Any) -> str:
    if limit.dtype == np.dtype(dtype) or dtype == np.float32:
        return g.channelwise(limit, np.float32)
    return g.cast(g.channelwise(limit), dtype)


def _looked_up(g: Graph, passed: str, numbers: Array) -> str:
    """The number of each count; by a line where they lie on one."""
    steps = np.diff(numbers)
    if (steps == steps[0]).all():
        y = passed if steps[0] == 1 else g.op("Mul", passed, g.number(float(steps[0])))
        return g.op("Add", y, g.number(float(numbers[0]))) if numbers[0] else y
    table = g.constant(numbers, np.float32, "codes")
    return g.op("Gather", table, g.cast(passed, np.int32), axis=0)
