"""The memory of a program, counted as the kernels lay it out (``csrc/layout.h``): with the border
around every map that a window walks over, and real pixels in whole vectors. Python's numbers do not
overflow."""

from __future__ import annotations

from collections.abc import Sequence

from bnn_train.packed.engine import last_reads, writes
from bnn_train.packed.program import Conv, InputScale, IntWeight, Program, Step, Value
from bnn_train.packed.shapes import axes

MEMORY_LIMIT = 2**30
"""Bytes that a model may take where the caller names no limit, beside a multiple of its file."""
_FILES = 4
_LINE, _LANES, _WORD = 64, 16, 32
Border = tuple[int, int, int, int]
"""Pixels above, left, below, right."""


def default_limit(file_bytes: int) -> int:
    """The limit for a file of so many bytes where the caller names none."""
    return MEMORY_LIMIT + _FILES * file_bytes


def memory(program: Program) -> int:
    """Bytes of the maps of one image that are alive at the same time, with what a step needs beside them, at
    most."""
    sizes = padded_bytes(program)
    return alive(program, sizes, [_beside(step, program.values) for step in program.steps])


def alive(program: Program, sizes: Sequence[int], beside: Sequence[int]) -> int:
    """The most bytes at any step: of the values held then, of so many bytes each, and what the step takes
    ``beside``."""
    last = last_reads(program)
    ends: list[list[int]] = [[] for _ in range(len(program.steps) + 1)]
    ends[last.get(0, 0)].append(0)
    held, most = sizes[0], 0
    for i, step in enumerate(program.steps):
        for v in writes(step):
            held += sizes[v]
            ends[max(i, last.get(v, i))].append(v)
        most = max(most, held + beside[i])
        held -= sum(sizes[v] for v in ends[i])
    return most


def padded_bytes(program: Program) -> list[int]:
    """Bytes of each value's map with the border that its windows need."""
    borders: list[Border] = [(0, 0, 0, 0)] * len(program.values)
    for step in program.steps:
        if isinstance(step, Conv) and _copy(step, program.values) is None:
            top, left, bottom, right = map(max, borders[step.input], _border(step, program.values))
            borders[step.input] = top, left, bottom, right
    return [
        _map_bytes(value, border, packed=i == 0)  # the caller's array may serve as it is
        for i, (value, border) in enumerate(zip(program.values, borders, strict=True))
    ]


def _map_bytes(value: Value, border: Border, packed: bool = False) -> int:
    top, left, bottom, right = border
    channels = value.channels
    match value.type:
        case "u8":
            pixel = channels
        case "f32":
            pixel = 4 * (channels if packed else up(channels, _LANES))
        case "bits":
            pixel = 4 * -(-channels // _WORD)
    plane = pixel * (left + value.width + right) * (top + value.height + bottom)
    planes = 1 if value.code is None else value.code.planes
    return up(plane, _LINE) * planes


def _border(step: Conv, values: Sequence[Value]) -> Border:
    source = values[step.input]
    rows, columns = axes(step.geometry, source.height, source.width)
    return rows.padding, columns.padding, rows.behind(), columns.behind()


def _copy(step: Conv, values: Sequence[Value]) -> Value | None:
    """The other form of its input that a convolution makes for itself: rounded to bytes, or every group's
    signs in words of their own."""
    source, groups = values[step.input], step.geometry.groups
    if source.type == "f32" and isinstance(step.weight, IntWeight):
        return source.model_copy(update={"type": "u8"})
    inner = source.channels // groups
    if source.type == "bits" and groups > 1 and inner % _WORD:
        return source.model_copy(update={"channels": groups * up(inner, _WORD)})
    return None


def _beside(step: Step, values: Sequence[Value]) -> int:
    """Bytes that a step takes for itself."""
    source = values[step.input]
    if isinstance(step, InputScale):
        return 8 * (source.height + 1) * source.width * step.geometry.groups
    if isinstance(step, Conv) and (copy := _copy(step, values)) is not None:
        return _map_bytes(copy, _border(step, values))
    if isinstance(step, Conv) and source.type == "u8":
        # As floats; where weights have one digit, which only the tensor tells, as 16 bits or as they are.
        return _map_bytes(source.model_copy(update={"type": "f32"}), _border(step, values), packed=True)
    return 0


def up(n: int, to: int) -> int:
    """The next multiple."""
    return -(-n // to) * to
