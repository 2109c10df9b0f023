"""Steps that send numbers through an epilogue and thresholds: convolutions and maps."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from bnn_train.packed.operands import adds_in_order, threshold_count
from bnn_train.packed.program import (
    Activation,
    BitWeight,
    Code,
    Conv,
    Epilogue,
    Geometry,
    IntWeight,
    Map,
    Planes,
    Prelu,
    RealWeight,
    Thresholds,
    Value,
    Weight,
)
from bnn_train.packed.shapes import border_classes
from fuzz.draw import Draw
from fuzz.grower import Grower, add_copy, add_input_scale, add_mean, divisors
from fuzz.windows import result_size

_WORDS: tuple[Activation, ...] = ("none", "none", "relu", "hardtanh", "sigmoid")
_REAL: tuple[Literal["f32", "bf16"], ...] = ("f32", "bf16")
MOST_CLASSES = 4096


class Result(NamedTuple):
    """The shape of what a step writes."""

    height: int
    width: int
    channels: int


def add_conv(g: Grower, source: int, outputs: int | None = None, window: Geometry | None = None) -> int:
    """A convolution; the index of a value that it writes. ``outputs``, ``window``: those of a head, which
    gives reals."""
    draw, v = g.draw, g.values[source]
    groups = 1 if outputs else draw.one(divisors(v.channels))
    inner = v.channels // groups
    head = outputs is not None
    if outputs is None:
        most = max(1, g.budget.weights // inner // groups)
        outputs = groups * min(most, draw.one((1, 1, 2, 3, 8, 17, 33, 64, 65, 130)))
    if window is None:
        window = g.window(source, outputs * inner)
    window = window.model_copy(update={"groups": groups})
    result = Result(*result_size(window, v.height, v.width), outputs)
    weight = _weight(g, v, window, outputs)
    factored = any(isinstance(code, Planes) for code in (v.code, getattr(weight, "code", None)))
    is_whole = v.type != "f32" and not factored and not _adds_in_order(g, v, weight)
    whole = not head and is_whole and draw.often(0.3)
    epilogue = Epilogue() if whole else _epilogue(g, result, source, window)
    step = Conv(
        layer=g.layer("conv"),
        input=source,
        weight=weight,
        geometry=window,
        output=0,
        pad=draw.one((-1, 0, 1)) if v.type == "bits" else 0,
        epilogue=epilogue,
        input_factors=g.tensor(draw.reals(v.code.count)) if isinstance(v.code, Planes) else None,
    )
    real, bits, rule = _results(g, result, head, _largest_product(g, v, step) if whole else None)
    g.steps.append(step.model_copy(update={"output": real, "bits": bits, "thresholds": rule}))
    return len(g.values) - 1 if real is None else real


def add_map(g: Grower, source: int) -> None:
    """A real value through an epilogue, pixel by pixel."""
    v = g.values[source]
    result = Result(v.height, v.width, v.channels)
    epilogue = _epilogue(g, result, source, None)
    real, bits, rule = _results(g, result, False, None)
    layer = g.layer("map")
    g.steps.append(Map(layer=layer, input=source, output=real, bits=bits, thresholds=rule, epilogue=epilogue))


def _weight(g: Grower, v: Value, window: Geometry, outputs: int) -> Weight:
    draw, inner = g.draw, v.channels // window.groups
    shape = (outputs, *window.kernel, inner)
    kind = "bits" if v.type == "bits" else draw.one(("bits", "int") if v.type == "u8" else _KINDS)
    if kind == "bits":
        code = draw.code() if v.type == "u8" and draw.often(0.98) else draw.any_code()
        used = window.kernel[0] * window.kernel[1] * inner
        rows = g.tensor(draw.bit_rows(used, code.planes, outputs))
        gain = g.perhaps(0.3, lambda: _gains(draw, inner)) if v.type == "u8" else None
        factors = g.tensor(draw.reals(code.count, outputs)) if isinstance(code, Planes) else None
        return BitWeight(tensor=rows, code=code, gain=gain, factors=factors)
    if kind == "int":
        digits = 1 + draw.below(3) if v.type == "u8" else 1
        return IntWeight(tensor=g.tensor(draw.octets(digits, *shape).view(np.int8)))
    reals = draw.reals(*shape)
    if draw.one(_REAL) == "f32":
        return RealWeight(kind="f32", tensor=g.tensor(reals))
    upper = (reals.view(np.uint32) >> 16).astype(np.uint16)
    return RealWeight(kind="bf16", tensor=g.tensor(upper))


_KINDS = ("bits", "int", "real", "real")


def _adds_in_order(g: Grower, v: Value, weight: Weight) -> bool:
    return isinstance(weight, IntWeight) and adds_in_order(v, weight, len(g.tensors[weight.tensor]))


def _largest_product(g: Grower, v: Value, step: Conv) -> int:
    """The bound of the step's whole-number products, as the format counts it."""
    weight, kernel = step.weight, step.geometry.kernel
    taps, inner = kernel[0] * kernel[1], v.channels // step.geometry.groups
    if isinstance(weight, IntWeight):
        digits = np.abs(g.tensors[weight.tensor].astype(np.int64))
        sums = digits.reshape(*digits.shape[:2], -1).sum(axis=2)
        return 255 * int((256 ** np.arange(len(sums)) @ sums).max())
    if not isinstance(weight, BitWeight):
        return 0
    largest = _largest_code(weight.code)
    if v.code is not None:
        return taps * inner * largest * max(abs(step.pad), _largest_code(v.code))
    gains = inner if weight.gain is None else int(g.tensors[weight.gain].sum(dtype=np.int64))
    return 255 * largest * taps * gains


def _largest_code(code: Code | Planes) -> int:
    if isinstance(code, Planes):
        return 1
    return (abs(code.offset) + sum(code.values)) // code.denominator


def _gains(draw: Draw, inner: int) -> Any:
    most = draw.one((1, 2, 127, 128, 255, 32768, 2**23 - 1))
    raw = np.frombuffer(draw.random.randbytes(4 * inner), np.uint32)
    return (raw % most + 1).astype(np.int32)


def _results(
    g: Grower, r: Result, head: bool, bound: int | None
) -> tuple[int | None, int | None, Thresholds | None]:
    """A real value, bits with their thresholds, or both; whole thresholds for products up to ``bound``."""
    draw = g.draw
    results = "f32" if head else draw.one(("f32", "bits", "both"))
    real = g.value("f32", *r) if results != "bits" else None
    if results == "f32":
        return real, None, None
    code = draw.value_code()
    if threshold_count(code) * r.channels > 4 * g.budget.weights:
        code = Code()
    shape = (threshold_count(code), r.channels)
    limits = draw.real_limits(*shape) if bound is None else draw.whole_limits(bound, *shape)
    flip = g.perhaps(0.5, lambda: draw.flags(r.channels))
    rule = Thresholds(tensor=g.tensor(limits), flip=flip)
    return real, g.value("bits", *r, code), rule


def _epilogue(g: Grower, r: Result, source: int, window: Geometry | None) -> Epilogue:
    draw = g.draw
    fields: dict[str, Any] = {
        "scale": g.perhaps(0.4, lambda: draw.reals(r.channels, scale=draw.one((1.0, 0.01)))),
        "input_scale": _input_scale(g, r, source, window) if draw.often(0.3) else None,
        "bias": g.perhaps(0.4, lambda: draw.reals(_classes(g, source, window), r.channels)),
        "gate": _gate(g, r) if draw.often(0.25) else None,
        "activation": _activation(g, r),
        "residual": _residual(g, r) if draw.often(0.4) else None,
        "stream": _activation(g, r),
    }
    if draw.often(0.4):
        fields["norm"] = (g.tensor(draw.reals(r.channels)), g.tensor(draw.reals(r.channels)))
    return Epilogue(**fields)


def _activation(g: Grower, r: Result) -> Activation:
    draw = g.draw
    if draw.often(0.75):
        return draw.one(_WORDS)
    others = {n: g.perhaps(0.4, lambda: draw.reals(r.channels)) for n in ("positive", "before", "after")}
    return Prelu(negative=g.tensor(draw.reals(r.channels)), **others)


def _gate(g: Grower, r: Result) -> int | None:
    """A real pixel of the result's channels: one that there is, or the mean of a map."""
    found = g.of_shape(1, 1, r.channels)
    if found and g.draw.often(0.7):
        return g.draw.one(found)
    maps = [i for i, v in enumerate(g.values) if v.type == "f32" and v.channels == r.channels]
    return add_mean(g, g.draw.one(maps)) if maps else None


def _classes(g: Grower, source: int, window: Geometry | None) -> int:
    """Rows of a bias: one, or one for each border class."""
    if window is None or g.draw.often(0.5):
        return 1
    v = g.values[source]
    *_, rows, columns = border_classes(window, v.height, v.width)
    return rows * columns if rows * columns <= MOST_CLASSES else 1


def _residual(g: Grower, r: Result) -> int | None:
    """A real value of the result's shape, which others may read as well."""
    found = g.of_shape(*r)
    if not found:
        return None
    return add_copy(g, found[-1]) if g.draw.often(0.2) else g.draw.one(found)


def _input_scale(g: Grower, r: Result, source: int, window: Geometry | None) -> int | None:
    """A real value with one channel for each group: K of the input, or any other."""
    groups = 1 if window is None else window.groups
    found = g.of_shape(r.height, r.width, groups)
    if found and g.draw.often(0.7):
        return g.draw.one(found)
    if window is None or g.values[source].type != "f32":
        return None
    return add_input_scale(g, source, window)
