"""The cost of a program: the products of its layers, and the array operations of the numpy reference."""

from __future__ import annotations

from typing import NamedTuple

from bnn_train.packed.engine import writes
from bnn_train.packed.program import BitWeight, Conv, Header, InputScale, Map, Pool, Value

_SIGMOID = 64
"""Products that take as long."""


class Cost(NamedTuple):
    """Of one image."""

    work: int
    """Products, and numbers that are copied or compared."""
    operations: int
    """Array operations of the reference, each some ten microseconds."""


def cost(header: Header) -> Cost:
    """The cost of a consistent program, counted apart from the format's own limits."""
    values = header.program.values
    work, operations = 0, len(header.program.steps)
    for step in header.program.steps:
        to, source = values[next(iter(writes(step)))], values[step.input]
        written = to.height * to.width * to.channels
        work += written + source.height * source.width * source.channels
        if isinstance(step, Conv | Map):
            work += _SIGMOID * written * step.epilogue.bends.count("sigmoid")
        if isinstance(step, Conv | Pool | InputScale):
            taps = step.geometry.kernel[0] * step.geometry.kernel[1]
            inner = source.channels // step.geometry.groups if isinstance(step, Conv) else 1
            work += taps * written * inner
            operations += taps * (_operations(step, source) if isinstance(step, Conv) else 1)
    pixels = header.images.height * header.images.width * header.images.channels
    for pre in header.images.preprocess:
        taps = int(pre.options.get("kernel", 1)) ** 2
        work += pixels * (pixels if pre.kind == "zca" else taps)
        operations += taps // 4
    return Cost(work, operations)


def _operations(step: Conv, source: Value) -> int:
    """Array operations for one tap of a convolution."""
    groups = step.geometry.groups
    if source.code is None or not isinstance(step.weight, BitWeight):
        return groups
    words = -(-source.channels // groups // 64)
    return groups * source.code.planes * step.weight.code.planes * words
