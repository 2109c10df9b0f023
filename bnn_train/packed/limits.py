"""The memory and work that a program asks for, counted before any is spent. Python's whole numbers do not
overflow."""

from __future__ import annotations

from bnn_train.packed.engine import writes
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.graph import title
from bnn_train.packed.memory import MEMORY_LIMIT, memory, padded_bytes, up
from bnn_train.packed.operands import term_count, threshold_count
from bnn_train.packed.program import (
    BitWeight,
    Concat,
    Conv,
    InputScale,
    IntWeight,
    Map,
    Pool,
    Program,
    Step,
    Value,
)

__all__ = ["MEMORY_LIMIT", "check_limits", "memory", "work"]

MAX_TAPS = 2**16
MAX_ALL_TAPS = 2**20
"""Of all windows of a program; VGG-16 at 224² takes 169."""
MAX_WORK = 2**39
"""Products for one image; ResNet-152 at 224² takes 2³³·⁵."""
MAX_NUMBERS, MAX_MAP = 2**29 - 1, 2**31 - 1
"""Of one image's value: its numbers, and the bytes of its map with its border, as the kernels index them."""
_LANES = 16
_SIGMOID = 2**8
"""The cost of one, in products."""
_OVERHEAD = 2**15
"""The least cost of one tap of one group in the numpy engine, 40 µs, in products."""
_IN_ORDER = 2**13
"""That of one channel of a tap whose sum has an order, 10 µs."""


def work(program: Program) -> int:
    """Products, comparisons and copied numbers for one image."""
    return sum(_step_work(step, program) for step in program.steps)


def check_limits(program: Program, memory_limit: int, beside: int = 0) -> None:
    """Raises PackedFileError for a program beyond the limits. ``beside``: bytes that the file and its
    preprocessing take."""
    total, taps = 0, 0
    for i, step in enumerate(program.steps):
        total += _step_work(step, program)
        own = _taps(step)
        taps += own
        if own > MAX_TAPS:
            raise PackedFileError(f"{title(i, step)}: a window of {own} taps; at most {MAX_TAPS} are allowed")
    if taps > MAX_ALL_TAPS:
        raise PackedFileError(f"its windows have {taps} taps in all; at most {MAX_ALL_TAPS} are allowed")
    if total > MAX_WORK:
        raise PackedFileError(f"one image takes {total} products; at most {MAX_WORK} are allowed")
    _check_maps(program)
    needed = memory(program) + beside
    if needed > memory_limit:
        raise PackedFileError(
            f"one image takes {needed} bytes, with the file; the limit is {memory_limit}: raise memory_limit"
        )


def _check_maps(program: Program) -> None:
    for i, (value, size) in enumerate(zip(program.values, padded_bytes(program), strict=True)):
        numbers = value.height * value.width * value.channels
        if numbers > MAX_NUMBERS or size > MAX_MAP:
            raise PackedFileError(
                f"value {i} has {numbers} numbers and takes {size} bytes with its border;"
                f" at most {MAX_NUMBERS} and {MAX_MAP} are allowed"
            )


def _taps(step: Step) -> int:
    if not isinstance(step, Conv | Pool | InputScale):
        return 1
    return step.geometry.kernel[0] * step.geometry.kernel[1]


def _step_work(step: Step, program: Program) -> int:
    """As the engines work: channels in whole vectors, those of a convolution's window in whole words."""
    source = program.values[step.input]
    found = _numbers(source) + _taps(step) * _OVERHEAD
    for v in writes(step):
        written = program.values[v]
        levels = threshold_count(written.code) + 1 if written.code and isinstance(step, Conv | Map) else 1
        found += _numbers(written) * levels
    first = program.values[writes(step)[0]]
    if isinstance(step, Conv | Map):
        found += _numbers(first) * _SIGMOID * step.epilogue.bends.count("sigmoid")
    if isinstance(step, Concat):
        found += _numbers(program.values[step.second])
    if isinstance(step, Conv):
        return found + _products(step, source, first)
    return found + _numbers(first) * _taps(step)


def _products(step: Conv, source: Value, written: Value) -> int:
    groups = step.geometry.groups
    unit = {"bits": 32, "u8": 4, "f32": 1}[source.type]
    inner = up(source.channels // groups, unit) * (1 if source.code is None else source.code.planes)
    outputs = groups * up(written.channels // groups, _LANES)
    outer = term_count(step.weight.code) if isinstance(step.weight, BitWeight) and source.code else 1
    terms = outer * (term_count(source.code) if source.code else 1)
    each = outer * inner * _taps(step) + (terms if terms > 1 else 0)
    found = written.height * written.width * outputs * each + terms * groups * _taps(step) * _OVERHEAD
    in_order = source.type == "u8" and isinstance(step.weight, IntWeight)
    return found + (groups * inner * _taps(step) * _IN_ORDER if in_order else 0)


def _numbers(value: Value) -> int:
    return value.height * value.width * up(value.channels, _LANES)
