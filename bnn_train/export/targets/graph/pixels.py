"""From uint8 images N×H×W×C to the program's input N×C×H×W: turned, and preprocessed where no layer could
absorb that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.graph.graph import Graph
from bnn_train.packed import preprocess
from bnn_train.packed.program import Images, Preprocess

Array = NDArray[Any]
Options = Mapping[str, Any]
Tensors = Mapping[str, Array]


def turned(g: Graph, images: str) -> str:
    """uint8 N×H×W×C as float32 N×C×H×W."""
    return g.cast(g.op("Transpose", images, perm=[0, 3, 1, 2]), np.float32)


def prepared(g: Graph, pixels: str, contract: Images, tensors: Tensors) -> str:
    """Value 0 of whole float32 pixels N×C×H×W."""
    x = pixels
    for step in contract.preprocess:
        x = _MAKE[step.kind](g, x, step, tensors)
    return x


def _scale01(g: Graph, x: str, _step: Preprocess, _tensors: Tensors) -> str:
    return g.op("Div", x, g.number(255))


def _signed(g: Graph, x: str, _step: Preprocess, _tensors: Tensors) -> str:
    return g.op("Sub", g.op("Mul", x, g.number(2 / 255)), g.number(1))


def _mean_std(g: Graph, x: str, step: Preprocess, tensors: Tensors) -> str:
    mean, std = (g.channelwise(tensors[step.tensors[key]]) for key in ("mean", "std"))
    return g.op("Div", g.op("Sub", _scale01(g, x, step, tensors), mean), std)


def _pixel_mean(g: Graph, x: str, step: Preprocess, tensors: Tensors) -> str:
    return g.op("Sub", _scale01(g, x, step, tensors), g.constant(tensors[step.tensors["mean"]]))


def _gcn(g: Graph, x: str, step: Preprocess, _tensors: Tensors) -> str:
    dtype: Any = np.float64 if g.exact else np.float32
    pixels = g.whole(1, 2, 3)
    middle = g.op("ReduceMean", g.cast(x, dtype) if g.exact else x, pixels, keepdims=1)
    x = g.op("Sub", x, g.cast(middle, np.float32) if g.exact else middle)
    wide = g.cast(x, dtype) if g.exact else x
    kind = "ReduceMean" if step.options["norm"] == "std" else "ReduceSum"
    spread = g.op(kind, g.op("Mul", wide, wide), pixels, keepdims=1)
    root = g.op("Sqrt", g.op("Add", spread, g.number(float(step.options["bias"]), dtype)))
    divisor = g.op("Div", root, g.number(float(step.options["scale"]), dtype))
    divisor = g.cast(divisor, np.float32) if g.exact else divisor
    small = g.op("Less", divisor, g.number(1e-8))
    return g.op("Div", x, g.op("Where", small, g.number(1), divisor))


def _zca(g: Graph, x: str, step: Preprocess, tensors: Tensors) -> str:
    mean, matrix = (g.constant(tensors[step.tensors[key]]) for key in ("mean", "matrix"))
    shape = g.op("Shape", x)
    return g.op("Reshape", g.op("MatMul", g.op("Sub", g.reshape(x, 0, -1), mean), matrix), shape)


def _lcn(g: Graph, x: str, step: Preprocess, _tensors: Tensors) -> str:
    window = preprocess.gaussian(int(step.options["kernel"]))
    centred = g.op("Sub", x, _filtered(g, x, window))
    norm = g.op("Sqrt", _filtered(g, g.op("Mul", x, x), window))
    wide = g.cast(norm, np.float64) if g.exact else norm
    floor = g.op("ReduceMean", wide, g.whole(2, 3), keepdims=1)
    floor = g.cast(floor, np.float32) if g.exact else floor
    limit = g.number(float(step.options["threshold"]))
    return g.op("Div", centred, g.op("Max", norm, floor, limit))


def _filtered(g: Graph, x: str, window: Array) -> str:
    """Every channel through the window, zeros around the image; tap by tap, so that sums have one order."""
    half = len(window) // 2
    padded, total = g.pad(x, (half, half), (half, half)), ""
    ends = [2 * half - i for i in range(len(window))]
    for (row, column), weight in np.ndenumerate(window):
        # The last rows and columns are cut off by counting from the end.
        stops = [-e if e else np.iinfo(np.int64).max for e in (ends[row], ends[column])]
        part = g.op("Mul", g.slice(padded, (2, 3), (row, column), stops), g.number(weight))
        total = g.op("Add", total, part) if total else part
    return total


_MAKE: dict[str, Callable[[Graph, str, Preprocess, Tensors], str]] = {
    "scale01": _scale01,
    "signed": _signed,
    "mean_std": _mean_std,
    "pixel_mean": _pixel_mean,
    "gcn": _gcn,
    "zca": _zca,
    "lcn": _lcn,
}
