"""The memory of the numpy engine, its passing arrays included: a bound, never below what it takes.

The factors count the bytes of the arrays that a step holds at once, number by number, as its code makes them.
"""

from __future__ import annotations

from bnn_train.packed.bits import word_count
from bnn_train.packed.engine import value_bytes
from bnn_train.packed.memory import alive
from bnn_train.packed.operands import SIGN
from bnn_train.packed.program import (
    BitWeight,
    Conv,
    InputScale,
    IntWeight,
    Map,
    Planes,
    Pool,
    Program,
    Step,
    Value,
)
from bnn_train.packed.reference.blocks import BLOCK

_EPILOGUE = 160
"""Of each number of a block: a line's result, the eight float64 arrays of ``fma``, or a tap's int64 sums."""
_PLANE = 20
"""Of each number of a block and plane of a code: its digits in int64 and as truth values."""


def image_bytes(program: Program) -> int:
    """Bytes that one image of a call takes at the most."""
    sizes = [value_bytes(value) for value in program.values]
    return alive(program, sizes, [_step_bytes(step, program) for step in program.steps])


def weight_bytes(program: Program) -> int:
    """Bytes that the weights of a step take at the most while it runs."""
    return max(_weight_bytes(step, program) for step in program.steps)


def _numbers(value: Value) -> int:
    return value.height * value.width * value.channels


def _step_bytes(step: Step, program: Program) -> int:
    source = program.values[step.input]
    if not isinstance(step, Conv | Map):
        doubles = 40 if isinstance(step, InputScale) else 16
        counts = 16 * step.geometry.kernel[0] if isinstance(step, Pool) else 0
        return doubles * (_numbers(source) + _numbers(program.values[step.output])) + counts
    result = _result(step, program)
    written, planes = _numbers(result), 0 if result.code is None else result.code.planes
    block = min(written, max(BLOCK, result.width * result.channels)) * (_EPILOGUE + _PLANE * planes)
    found = block + 8 * written + 16 * result.height * result.width
    return found + (_product_bytes(step, source, written) if isinstance(step, Conv) else 0)


def _result(step: Conv | Map, program: Program) -> Value:
    return next(program.values[v] for v in (step.bits, step.output) if v is not None)


def _product_bytes(step: Conv, source: Value, written: int) -> int:
    """Words widened to 64 bits, or numbers to float64; int64 sums and their next type."""
    if source.code is None:
        return 40 * _numbers(source) + 32 * written
    groups = step.geometry.groups
    words = groups * word_count(source.channels // groups) + 1
    pixels = source.height * source.width * source.code.planes
    weight = step.weight.code if isinstance(step.weight, BitWeight) else SIGN
    factored = 12 * written if Planes in (type(source.code), type(weight)) else 0
    return pixels * (2 * source.channels + 40 * words) + 16 * written + factored


def _weight_bytes(step: Step, program: Program) -> int:
    if not isinstance(step, Conv):
        return 0
    source, weight = program.values[step.input], step.weight
    outputs = _result(step, program).channels
    taps = step.geometry.kernel[0] * step.geometry.kernel[1]
    inner = source.channels // step.geometry.groups
    planes = weight.code.planes if isinstance(weight, BitWeight) else 1
    if isinstance(weight, BitWeight) and source.code is not None:
        return planes * outputs * taps * (2 * inner + 48 * (word_count(inner) + 1))
    if isinstance(weight, BitWeight):
        return outputs * taps * inner * (16 * planes + 48)
    return outputs * taps * inner * (64 if isinstance(weight, IntWeight) else 16)
