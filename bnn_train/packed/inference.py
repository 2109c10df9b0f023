"""Shape inference once more: every value has the type and size that its step gives it."""

from __future__ import annotations

from typing import NoReturn

from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.graph import check_code, title
from bnn_train.packed.program import (
    BitWeight,
    Channels,
    Code,
    Concat,
    Conv,
    Epilogue,
    Geometry,
    InputScale,
    IntWeight,
    Map,
    Mean,
    Planes,
    Pool,
    Program,
    RealWeight,
    Step,
    Subsample,
    Value,
)
from bnn_train.packed.shapes import axes, output_size

_MAX_WINDOW = 2**24
FREE_PADDING = 16
"""Pixels that a convolution may pad whatever its window; half of the window's extent is always allowed."""
MAX_POOL_ROWS = 64
"""``kMaxRows`` of the kernels."""
Values = tuple[Value, ...]


def check_shapes(program: Program) -> None:
    """Raises PackedFileError; indices must be good."""
    for i, step in enumerate(program.steps):
        try:
            _check(step, program.values)
        except PackedFileError as error:
            raise PackedFileError(f"{title(i, step)}: {error}") from None
    output = program.values[program.output]
    if (output.type, output.height, output.width) != ("f32", 1, 1):
        raise PackedFileError(f"the output is {_described(output)}; it must be f32 1×1×classes")


def _check(step: Step, values: Values) -> None:
    source = values[step.input]
    match step:
        case Conv():
            _check_conv(step, values)
        case Map():
            _need(source, "f32", "its input")
            _check_results(step, values, (source.height, source.width), source.channels, 1)
        case Pool():
            _check_pool(step, source, values[step.output])
        case InputScale():
            _need(source, "f32", "its input")
            size = window_size(step.geometry, source)
            _divides(step.geometry.groups, source.channels, "input")
            _equal(values[step.output], "f32", size, step.geometry.groups)
        case Subsample():
            _check_subsample(step, source, values[step.output])
        case Mean():
            _need(source, "f32", "its input")
            _equal(values[step.output], "f32", (1, 1), source.channels)
        case Concat():
            _check_concat(source, values[step.second], values[step.output])
        case Channels():
            _check_channels(step, source, values[step.output])


def _check_conv(step: Conv, values: Values) -> None:
    source = values[step.input]
    _check_weight(step, source)
    size = window_size(step.geometry, source)
    written = [values[i] for i in (step.output, step.bits) if i is not None]
    channels = written[0].channels
    _divides(step.geometry.groups, source.channels, "input")
    _divides(step.geometry.groups, channels, "output")
    if step.pad and source.type != "bits":
        _refuse(f"padding with the code {step.pad} is for bits; its input is {source.type}")
    _check_results(step, values, size, channels, step.geometry.groups)


def _check_weight(step: Conv, source: Value) -> None:
    weight = step.weight
    kinds = {"bits": BitWeight, "u8": BitWeight | IntWeight, "f32": BitWeight | IntWeight | RealWeight}
    if not isinstance(weight, kinds[source.type]):
        _refuse(f"{source.type} inputs have no product with {weight.kind} weights")
    if isinstance(weight, BitWeight):
        check_code("its weight", weight.code)
        if isinstance(weight.code, Planes) and weight.code.digits:
            _refuse("its weight's planes are digits of no thresholds; leave digits out")
        if weight.gain is not None and source.type != "u8":
            _refuse(f"a gain is for u8 inputs; its input is {source.type}")
        _check_factors("the weight's planes", weight.code, weight.factors)
        if isinstance(weight.code, Planes) and source.type == "u8":
            _refuse("u8 inputs have no product with planes of real factors; give the weight a code")
    _check_factors("the input's planes", source.code, step.input_factors)


def _check_factors(what: str, code: Code | Planes | None, factors: str | None) -> None:
    if isinstance(code, Planes) and factors is None:
        _refuse(f"{what} have no factors; name their tensor")
    if factors is not None and not isinstance(code, Planes):
        _refuse(f"there are factors for {what}, but no planes; leave them out")


def _check_results(
    step: Conv | Map, values: Values, size: tuple[int, int], channels: int, groups: int
) -> None:
    if step.output is not None:
        _equal(values[step.output], "f32", size, channels)
    if step.bits is not None:
        _equal(values[step.bits], "bits", size, channels)
    _check_epilogue(step.epilogue, values, size, channels, groups)


def _check_epilogue(e: Epilogue, values: Values, size: tuple[int, int], channels: int, groups: int) -> None:
    if e.residual is not None:
        _equal(values[e.residual], "f32", size, channels, "its residual")
    if e.input_scale is not None:
        _equal(values[e.input_scale], "f32", size, groups, "its input scale")
    if e.gate is not None:
        _equal(values[e.gate], "f32", (1, 1), channels, "its gate")


def _check_pool(step: Pool, source: Value, result: Value) -> None:
    if source.type == "u8" or (source.type == "bits" and step.kind == "average"):
        _refuse(f"there is no {step.kind} of {source.type}")
    if source.code is not None and not source.code.apart:
        _refuse("bits of a code or of digits are pooled with one plane only")
    if step.flip is not None and source.type != "bits":
        _refuse("flip is for bits; its input is f32")
    if step.geometry.groups != 1:
        _refuse("a pooling window has one group")
    size = window_size(step.geometry, source, step.ceil, free=0)  # as in PyTorch
    _equal(result, source.type, size, source.channels)
    if result.code != source.code:
        _refuse("its output's code is not its input's")
    if step.geometry.kernel[0] > MAX_POOL_ROWS:
        _refuse(f"its window has {step.geometry.kernel[0]} rows; at most {MAX_POOL_ROWS} are allowed")
    for axis in axes(step.geometry, source.height, source.width):
        # Taps nearer to each other than the map is wide cannot all miss it: each window begins before the
        # map's end, and ends behind its beginning since the padding is at most half of the window.
        if axis.kernel > 1 and axis.dilation > axis.size:
            _refuse(f"its taps lie {axis.dilation} pixels apart; the map has {axis.size}, and some see none")


def _check_subsample(step: Subsample, source: Value, result: Value) -> None:
    _need(source, "f32", "its input")
    if min(step.stride) < 1:
        _refuse(f"its stride is {step.stride}; 1 is the least")
    size = (-(-source.height // step.stride[0]), -(-source.width // step.stride[1]))
    _equal(result, "f32", size, result.channels)
    if step.before + source.channels > result.channels:
        _refuse(f"{step.before} + {source.channels} channels do not fit in its output's {result.channels}")


def _check_concat(first: Value, second: Value, result: Value) -> None:
    _need(first, "f32", "its input")
    size = (first.height, first.width)
    _equal(second, "f32", size, second.channels, "its second input")
    _equal(result, "f32", size, first.channels + second.channels)


def _check_channels(step: Channels, source: Value, result: Value) -> None:
    _need(source, "f32", "its input")
    _equal(result, "f32", (source.height, source.width), result.channels)
    if step.start + result.channels > source.channels:
        _refuse(
            f"channels {step.start} to {step.start + result.channels} are not all among {source.channels}"
        )


def window_size(
    geometry: Geometry, source: Value, ceil: bool = False, free: int = FREE_PADDING
) -> tuple[int, int]:
    """H′ and W′. Raises PackedFileError where the window has no place, or more padding than half its extent
    and than ``free`` pixels."""
    least = (*geometry.kernel, *geometry.stride, *geometry.dilation, *(p + 1 for p in geometry.padding))
    if min(least) < 1 or max(least) > _MAX_WINDOW:
        _refuse("kernel, stride and dilation are 1 or more, padding 0 or more")
    for axis in axes(geometry, source.height, source.width):
        most = max(axis.reach // 2, free)
        if axis.padding > most:
            _refuse(f"its padding is {axis.padding}; its window allows at most {most}")
    size = output_size(geometry, source.height, source.width, ceil)
    if min(size) < 1:
        _refuse(f"its window does not fit in {source.height}×{source.width} pixels")
    return size


def _divides(groups: int, channels: int, what: str) -> None:
    if channels % groups:
        _refuse(f"{groups} groups do not divide the {channels} {what} channels")


def _need(value: Value, kind: str, what: str) -> None:
    if value.type != kind:
        _refuse(f"{what} is {value.type}; it must be {kind}")


def _equal(value: Value, kind: str, size: tuple[int, int], channels: int, what: str = "its output") -> None:
    if (value.type, value.height, value.width, value.channels) != (kind, *size, channels):
        _refuse(f"{what} is {_described(value)}; it must be {kind} {size[0]}×{size[1]}×{channels}")


def _described(value: Value) -> str:
    return f"{value.type} {value.height}×{value.width}×{value.channels}"


def _refuse(message: str) -> NoReturn:
    raise PackedFileError(message)
