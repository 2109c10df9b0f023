"""OpenVINO's binary convolution in place of float32 ones, where signs meet signs.

It wants a fixed number of images, its input behind a FakeQuantize to 0 and 1, and filters of one bit (1: +1).
Of channels that are no multiple of 8 its sums are wrong (2026.4): those stay as they are. Maps are padded
before; a padding by 0 is one by −1, and the weights that this subtracted are added again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.target import Content
from bnn_train.packed import bits
from bnn_train.packed.operands import SIGN, BitWeight, Geometry, Value
from bnn_train.packed.program import Conv
from bnn_train.packed.shapes import Axis, axes, border_classes

Array = NDArray[Any]
_OCTET = 8


def binarize(model: Any, content: Content) -> int:
    """Replace convolutions of a model of fixed shapes; the count of those replaced."""
    known = {op.get_friendly_name(): op for op in model.get_ordered_ops()}
    count = 0
    for i, step, source in _signs_with_signs(content):
        old = known.get(f"{i}.{step.layer}.conv")
        if old is None or old.get_type_name() != "Convolution":
            continue  # a dense layer
        shape = (*step.geometry.kernel, source.channels)
        negative = bits.filter_signs(content.tensors[step.weight.tensor], shape)[0]
        made = _convolution(old.input_value(0), negative.transpose(0, 3, 1, 2), step, source)
        for place in old.output(0).get_target_inputs():
            place.replace_source_output(made.output(0))
        count += 1
    model.validate_nodes_and_infer_types()
    return count


def _signs_with_signs(content: Content) -> Iterator[tuple[int, Conv, Value]]:
    program = content.header.program
    for i, step in enumerate(program.steps):
        if not isinstance(step, Conv) or not isinstance(step.weight, BitWeight):
            continue
        source = program.values[step.input]
        fits = step.geometry.groups == 1 and source.channels % _OCTET == 0
        if fits and (source.code, step.weight.code) == (SIGN, SIGN):
            yield i, step, source


def _convolution(x: Any, negative: Array, step: Conv, source: Value) -> Any:
    """``x``: ±1, padded already where that is by ±1; ``negative``: O×I×Kh×Kw."""
    import openvino
    from openvino import opset1, opset13

    def numbers(values: Any) -> Any:
        return opset13.constant(np.asarray(values, np.float32))

    geometry = step.geometry
    by_zero = step.pad == 0 and any(geometry.padding)
    if by_zero:
        room = opset13.constant(np.array([0, 0, *geometry.padding], np.int64))
        x = opset13.pad(x, room, room, "constant", numbers(-1))
    middle, low, high = (numbers(np.full((1, 1, 1, 1), value)) for value in (0, 0, 1))
    signs = opset13.fake_quantize(x, middle, middle, low, high, 2)
    packed = np.packbits(~negative.reshape(-1), bitorder="little")
    held = openvino.Tensor(packed, openvino.Shape(list(negative.shape)), openvino.Type.u1)
    filters = openvino.op.Constant(held, shared_memory=False)
    none, walk = [0, 0], (list(geometry.stride), list(geometry.dilation))
    y = opset1.binary_convolution(signs, filters, walk[0], none, none, walk[1], "xnor-popcount", 0.0)
    if not by_zero:
        return y
    rows, classes = _outside(geometry, source, 1 - 2 * negative.astype(np.int64))
    axis = opset13.constant(np.array(0, np.int64))
    chosen = opset13.gather(numbers(rows), opset13.constant(classes.astype(np.int32)), axis)
    return opset13.add(y, opset13.transpose(chosen, opset13.constant(np.array([2, 0, 1], np.int64))))


def _outside(geometry: Geometry, source: Value, weight: Array) -> tuple[Array, Array]:
    """For each border class the sum of the weights (O×I×Kh×Kw) whose taps lie outside: B×O, and each pixel's
    class."""
    rows, columns, down, across = border_classes(geometry, source.height, source.width)
    taps = weight.sum(axis=1)
    inside = [
        _inside(axis, seen)
        for axis, seen in zip(axes(geometry, source.height, source.width), (rows, columns), strict=True)
    ]
    sums = np.einsum("ohw,rh,cw->rco", taps, *inside)
    found = taps.sum(axis=(1, 2)) - sums
    return found.reshape(down * across, -1), rows[:, None] * across + columns[None, :]


def _inside(axis: Axis, classes: Array) -> Array:
    """Truth values B×K: which taps a class sees."""
    first, end = axis.taps_inside(axis.steps())
    at = [int(np.flatnonzero(classes == c)[0]) for c in range(int(classes.max()) + 1)]
    taps = np.arange(axis.kernel)
    return np.asarray([(first[o] <= taps) & (taps < end[o]) for o in at]).astype(np.int64)
