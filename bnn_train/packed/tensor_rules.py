"""The tensors that each step needs: their types, shapes and contents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import contents
from bnn_train.packed.bits import code_numbers
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.facts import Facts
from bnn_train.packed.graph import title
from bnn_train.packed.operands import adds_in_order, term_code, threshold_count
from bnn_train.packed.program import (
    BitWeight,
    Code,
    Conv,
    Epilogue,
    IntWeight,
    Map,
    Planes,
    Pool,
    Prelu,
    Program,
    RealWeight,
    Step,
    Thresholds,
    Value,
)
from bnn_train.packed.shapes import border_class_count

Array = NDArray[Any]
MAX_GAIN = 2**23 - 1
MAX_DIGITS = 3


class Need(NamedTuple):
    """One tensor that must be there."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    check: contents.Check = contents.anything


def demand(where: str, needs: Iterator[Need], facts: Facts) -> set[str]:
    """The names of the tensors needed. Raises PackedFileError for one that is missing or different."""
    used = set()
    for need in needs:
        if need.name not in facts:
            raise PackedFileError(f"{where}: there is no tensor {need.name}")
        tensor = facts[need.name].tensor
        if tensor.dtype != np.dtype(need.dtype) or tensor.shape != need.shape:
            found, wanted = _described(tensor.dtype, tensor.shape), _described(need.dtype, need.shape)
            raise PackedFileError(f"{where}: tensor {need.name} is {found}; it must be {wanted}")
        wrong = facts[need.name].wrong(need.check)
        if wrong:
            raise PackedFileError(f"{where}: tensor {need.name}: {wrong}")
        used.add(need.name)
    return used


def _described(dtype: Any, shape: tuple[int, ...]) -> str:
    return f"{dtype} {'×'.join(map(str, shape))}"


def check_tensors(program: Program, facts: Facts) -> set[str]:
    """The names of all tensors that steps use. Raises PackedFileError; shapes must agree already."""
    used: set[str] = set()
    for i, step in enumerate(program.steps):
        where = title(i, step)
        if isinstance(step, Conv | Map) and step.thresholds is not None:
            exact = isinstance(step, Conv) and has_whole_product(step, program.values[step.input], facts)
            _check_exactness(where, step, step.thresholds, exact, facts)
        used |= demand(where, _needs(step, program.values, facts), facts)
    return used


def has_whole_product(step: Conv, source: Value, facts: Facts) -> bool:
    """Whether a convolution's product is an exact whole number: not of reals, of codes without real factors,
    and of pixels with whole weights of one digit."""
    if adds_in_order(source, step.weight, _length(facts, step.weight.tensor)):
        return False
    codes = (source.code, step.weight.code if isinstance(step.weight, BitWeight) else None)
    return source.type != "f32" and not any(isinstance(code, Planes) for code in codes)


def _check_exactness(where: str, step: Conv | Map, rule: Thresholds, exact: bool, facts: Facts) -> None:
    """Whole thresholds see whole products, with nothing in between."""
    if rule.tensor not in facts or facts[rule.tensor].tensor.dtype != np.int32:
        return
    if not exact:
        raise PackedFileError(f"{where}: int32 thresholds for a real product; they must be float32")
    if step.epilogue != Epilogue():
        raise PackedFileError(f"{where}: int32 thresholds and an epilogue; they exclude each other")


def _needs(step: Step, values: tuple[Value, ...], facts: Facts) -> Iterator[Need]:
    source = values[step.input]
    if isinstance(step, Pool) and step.flip is not None:
        yield Need(step.flip, "uint8", (source.channels,), contents.Between(0, 1))
    if not isinstance(step, Conv | Map):
        return
    result = next(values[i] for i in (step.output, step.bits) if i is not None)
    classes, most = 1, 0
    if isinstance(step, Conv):
        yield from _weight(step, source, result.channels, facts)
        if step.input_factors is not None and source.code is not None:
            yield Need(step.input_factors, "float32", (source.code.planes,), contents.reals)
        most = product_bound(step, source, facts)
        _check_bound(step, source, most, facts)
        if source.code is not None and isinstance(step.weight, BitWeight):
            _check_numerators(step, source, term_code(source.code), term_code(step.weight.code))
        if step.epilogue.bias is not None:
            classes = border_class_count(step.geometry, source.height, source.width)
    yield from _epilogue(step.epilogue, result.channels, classes, facts)
    if step.thresholds is not None and step.bits is not None:
        yield from _thresholds(step.thresholds, values[step.bits], most, facts)


def _weight(step: Conv, source: Value, outputs: int, facts: Facts) -> Iterator[Need]:
    weight, kernel = step.weight, step.geometry.kernel
    inner = source.channels // step.geometry.groups
    match weight:
        case BitWeight():
            count = kernel[0] * kernel[1] * inner
            rows = (weight.code.planes, outputs, -(-count // 8))
            yield Need(weight.tensor, "uint8", rows, contents.RowsOf(count))
            if weight.factors is not None:
                yield Need(weight.factors, "float32", (weight.code.planes, outputs), contents.reals)
            if weight.gain is not None:
                yield Need(weight.gain, "int32", (inner,), contents.Between(1, MAX_GAIN))
        case IntWeight():
            most = MAX_DIGITS if source.type == "u8" else 1
            digits = max(1, min(_length(facts, weight.tensor), most))
            yield Need(weight.tensor, "int8", (digits, outputs, *kernel, inner))
        case RealWeight():
            dtype = "float32" if weight.kind == "f32" else "uint16"
            yield Need(weight.tensor, dtype, (outputs, *kernel, inner), contents.reals)


def product_bound(step: Conv, source: Value, facts: Facts) -> int:
    """A bound of |whole-number product|, the same for all outputs; 0 for other real products than pixels.

    Codes: taps · channels · largest codes, padding included; of planes the signs of each. Pixels: 255 times
    the largest sum of a filter's |weights|. Reals times whole numbers: the sum of the rounded input's
    products.
    """
    weight = step.weight
    taps = step.geometry.kernel[0] * step.geometry.kernel[1]
    count = taps * (source.channels // step.geometry.groups)
    if isinstance(weight, IntWeight):
        return (255 if source.type == "u8" else 127) * facts[weight.tensor].digit_sum
    if not isinstance(weight, BitWeight) or source.type == "f32":
        return 0
    largest = int(abs(code_numbers(term_code(weight.code))).max())
    if source.code is not None:
        own = int(abs(code_numbers(term_code(source.code))).max())
        return count * largest * max(abs(step.pad), own)
    total = count if weight.gain is None else taps * facts[weight.gain].total
    return 255 * largest * total


def _length(facts: Facts, name: str) -> int:
    """Of the first axis; 0 for a tensor that is not there."""
    shape = facts[name].tensor.shape if name in facts else ()
    return shape[0] if shape else 0


def _check_bound(step: Conv, source: Value, bound: int, facts: Facts) -> None:
    """Products stay in the type that engines add them in; of float32 sums in order, which rounding makes at
    most twice as large, one more product fits in float64."""
    bits = 62 if source.type == "u8" else 31
    if adds_in_order(source, step.weight, _length(facts, step.weight.tensor)):
        bits = 51
    if bound >= 2**bits:
        raise PackedFileError(f"{step.layer}: sums to {bound} leave {bits + 1} bits; the layer is too wide")


def _check_numerators(step: Conv, source: Value, a: Code, w: Code) -> None:
    """The kernels add codes before they divide, and start from the sum of a window that differs nowhere: what
    they add up, and what they take from it, stay in int32."""
    geometry = step.geometry
    count = geometry.kernel[0] * geometry.kernel[1] * (source.channels // geometry.groups)
    values, weights = sum(a.values), sum(w.values) + abs(w.offset)
    seen, padded = values + abs(a.offset), 2 * values + a.denominator * abs(step.pad)
    bound = count * weights * (2 * values + max(seen, padded if any(geometry.padding) else 0))
    if bound >= 2**31:
        raise PackedFileError(f"{step.layer}: its sums before division, to {bound}, leave 32 bits")


def _epilogue(e: Epilogue, outputs: int, classes: int, facts: Facts) -> Iterator[Need]:
    for name in (e.scale, *(e.norm or ())):
        if name is not None:
            yield Need(name, "float32", (outputs,), contents.reals)
    if e.bias is not None:
        rows = 1 if _length(facts, e.bias) == 1 else classes
        yield Need(e.bias, "float32", (rows, outputs), contents.reals)
    for bend in e.bends:
        if isinstance(bend, Prelu):
            for name in bend.names:
                yield Need(name, "float32", (outputs,), contents.reals)


def _thresholds(rule: Thresholds, result: Value, most: int, facts: Facts) -> Iterator[Need]:
    shape = (0 if result.code is None else threshold_count(result.code), result.channels)
    if rule.tensor in facts and facts[rule.tensor].tensor.dtype == np.int32:
        reach = min(most + 1, 2**31 - 1)
        yield Need(rule.tensor, "int32", shape, contents.Between(-reach, reach))
    else:
        yield Need(rule.tensor, "float32", shape, contents.limits)
    if rule.flip is not None:
        yield Need(rule.flip, "uint8", (result.channels,), contents.Between(0, 1))
