"""The steps without weights: pooling, K of XNOR-Net, the shortcut that skips pixels, the mean of a map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.graph.graph import Graph
from bnn_train.packed.operands import Geometry, Value
from bnn_train.packed.program import InputScale, Mean, Pool, Subsample
from bnn_train.packed.shapes import Axis, axes, taps

Array = NDArray[Any]


def largest(g: Graph, x: str, step: Pool, source: Value, result: Value, flip: Array | None = None) -> str:
    """The maximum of what a window sees of the map; of signs, the minimum where ``flip``."""
    turned = None if flip is None else g.channelwise(1 - 2 * flip.astype(np.float32), np.float32)
    if turned is not None:
        x = g.op("Mul", x, turned)
    x = _room(g, x, step.geometry, source, result, -1.0 if source.type == "bits" else -np.inf)
    window = step.geometry
    more: dict[str, Any] = {"dilations": list(window.dilation)} if window.dilation != (1, 1) else {}
    y = g.op("MaxPool", x, kernel_shape=list(window.kernel), strides=list(window.stride), **more)
    return y if turned is None else g.op("Mul", y, turned)


def average(g: Graph, x: str, step: Pool, source: Value, result: Value) -> str:
    """The sum of the window in row order over the count of its taps."""
    counts = []
    for axis in axes(step.geometry, source.height, source.width):
        first, end = axis.taps_inside(axis.steps(step.ceil), padded=step.include_padding)
        counts.append(end - first)
    divisor = np.outer(*counts)
    if not g.exact and step.geometry.padding == (0, 0) and (divisor == divisor.max()).all():
        window = step.geometry
        return g.op("AveragePool", x, kernel_shape=list(window.kernel), strides=list(window.stride))
    summed = _tap_sum(g, x, step.geometry, source, result)
    same = (divisor == divisor.flat[0]).all()
    return g.op("Div", summed, g.constant(divisor.flat[0] if same else divisor, np.float32))


def input_scale(g: Graph, x: str, step: InputScale, source: Value, result: Value) -> str:
    """The sum of |x| over the window and the group's channels, in float64, over their count."""
    dtype: Any = np.float64 if g.exact else np.float32
    groups, kernel = step.geometry.groups, step.geometry.kernel
    inner = source.channels // groups
    size = g.op("Abs", g.cast(x, dtype) if g.exact else x)
    if groups > 1:
        size = g.reshape(size, 0, groups, inner, source.height, source.width)
        size = g.op("ReduceSum", size, g.whole(2), keepdims=0)
    else:
        size = g.op("ReduceSum", size, g.whole(1), keepdims=1)
    summed = _tap_sum(g, size, step.geometry, source, result, dtype)
    mean = g.op("Div", summed, g.number(kernel[0] * kernel[1] * inner, dtype))
    return g.cast(mean, np.float32) if g.exact else mean


def subsample(g: Graph, x: str, step: Subsample, source: Value, result: Value) -> str:
    """Every stride-th pixel in the channels from ``before`` on, zeros in the others."""
    if step.stride != (1, 1):
        ends = (source.height, source.width)
        x = g.slice(x, (2, 3), (0, 0), ends, step.stride)
    behind = result.channels - step.before - source.channels
    if not (step.before or behind):
        return x
    room = g.whole(0, step.before, 0, 0, 0, behind, 0, 0)
    return g.op("Pad", x, room, g.number(0), mode="constant")


def mean(g: Graph, x: str, step: Mean) -> str:
    """The mean of each map, in float64."""
    del step
    if not g.exact:
        return g.op("GlobalAveragePool", x)
    wide = g.op("ReduceMean", g.cast(x, np.float64), g.whole(2, 3), keepdims=1)
    return g.cast(wide, np.float32)


def _tap_sum(
    g: Graph, x: str, geometry: Geometry, source: Value, result: Value, dtype: Any = np.float32
) -> str:
    """Σ over the window, tap by tap in row order; missing taps count 0."""
    size, total = (result.height, result.width), ""
    for tap in taps(geometry, (source.height, source.width), size):
        part = g.slice(x, (2, 3), *zip(*map(_ends, tap.inputs), strict=True))
        before = [at.start for at in tap.outputs]
        after = [most - at.stop for at, most in zip(tap.outputs, size, strict=True)]
        part = _padded(g, part, before, after, dtype)
        total = g.op("Add", total, part) if total else part
    return total


def _padded(g: Graph, x: str, before: list[int], after: list[int], dtype: Any) -> str:
    if not any((*before, *after)):
        return x
    return g.op("Pad", x, g.whole(0, 0, *before, 0, 0, *after), g.number(0, dtype), mode="constant")


def _ends(part: slice) -> tuple[int, int, int]:
    return part.start, part.stop, part.step


def _room(g: Graph, x: str, geometry: Geometry, source: Value, result: Value, value: float) -> str:
    """The map with what its windows reach beyond it, and no more."""
    before, after = [], []
    for axis, steps in zip(
        axes(geometry, source.height, source.width), (result.height, result.width), strict=True
    ):
        before.append(axis.padding)
        after.append(max(0, _reached(axis, steps) - axis.size - axis.padding))
    return g.pad(x, before, after, value)


def _reached(axis: Axis, steps: int) -> int:
    """The padded map's pixels that the windows cover."""
    return (steps - 1) * axis.stride + axis.reach
