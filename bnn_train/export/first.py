"""The layer that reads the image: pixels stay bytes, their normalization goes into its weights and biases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.graph import Graph, Op, key_of
from bnn_train.export.weights import geometry_of, quantized_weight
from bnn_train.packed import shapes

F64 = NDArray[np.float64]
GAIN_LIMIT = 2**23 - 1


@dataclass(frozen=True)
class Pixels:
    """One normalization step: its kind and options, as ``program.Preprocess`` has them, and its arrays."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class Affine:
    """A normalization of bytes, channel by channel: factor[c]·x + summand[c]."""

    factor: F64
    summand: F64


def affine(steps: Sequence[Pixels], channels: int) -> Affine | None:
    """The steps as one affine map of each channel, in float64; None if one of them is more than that."""
    factor, summand = np.ones(channels), np.zeros(channels)
    for step in steps:
        if step.kind not in _AFFINE:
            return None
        a, b = _AFFINE[step.kind](step)
        factor, summand = factor * a, summand * a + b
    return Affine(factor, summand)


def _mean_std(step: Pixels) -> tuple[Any, Any]:
    mean, std = (step.tensors[name].astype(np.float64) for name in ("mean", "std"))
    return 1 / (255 * std), -mean / std


_AFFINE: dict[str, Any] = {
    "scale01": lambda step: (1 / 255, 0.0),
    "signed": lambda step: (2 / 255, -1.0),
    "mean_std": _mean_std,
}


def absorbs(graph: Graph, pixels: Affine | None) -> bool:
    """Whether every reader of the image is a layer that can take it as bytes."""
    readers = graph.image.users
    return pixels is not None and bool(readers) and all(_absorbs(op, pixels) for op in readers)


def _absorbs(op: Op, pixels: Affine) -> bool:
    if op.kind != "product" or key_of(op) is not None:
        return False
    equal = bool((pixels.factor == pixels.factor[0]).all())
    return equal or geometry_of(op).groups == 1 or quantized_weight(op) is None


def gains(pixels: Affine) -> tuple[NDArray[np.int32] | None, float]:
    """The channels' normalization factors as whole numbers of 23 bits, and the real number that multiplies
    them all; None where the channels share one factor."""
    top = float(np.abs(pixels.factor).max())
    if bool((pixels.factor == pixels.factor[0]).all()):
        return None, float(pixels.factor[0])
    return np.rint(pixels.factor / top * GAIN_LIMIT).astype(np.int32), top / GAIN_LIMIT


def per_input(op: Op, channels: F64) -> F64:
    """One number for each image channel, laid out to multiply a weight O×Kh×Kw×I."""
    groups, outputs = geometry_of(op).groups, op.channels
    of_group = channels.reshape(groups, -1)
    return np.repeat(of_group, outputs // groups, axis=0)[:, None, None, :]


def border_bias(
    op: Op, weight: F64, pixels: Affine, bias: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    """B×O: the bias, and for each border class what the summands add up to over the taps inside the image."""
    own = np.zeros(op.channels) if bias is None else bias.astype(np.float64)
    if not pixels.summand.any():
        return None if bias is None else bias[None]
    taps = (weight * per_input(op, pixels.summand)).sum(axis=3)  # O Kh Kw
    rows, columns = _inside(op)
    table = np.einsum("okl,rk,cl->rco", taps, rows, columns)
    return np.asarray(table.reshape(-1, op.channels) + own, dtype=np.float32)


def border_classes_of(op: Op) -> int:
    """How many border classes a product has on its map."""
    _, height, width = op.inputs[0].shape
    classes = shapes.border_classes(geometry_of(op), height, width)
    return classes[2] * classes[3]


def _inside(op: Op) -> tuple[F64, F64]:
    """Masks of the kernel rows, and columns, that lie inside the image, for each border class."""
    geometry = geometry_of(op)
    _, height, width = op.inputs[0].shape
    classes = shapes.border_classes(geometry, height, width)
    axes = shapes.axes(geometry, height, width)
    return _table(axes[0], classes[0], classes[2]), _table(axes[1], classes[1], classes[3])


def _table(axis: shapes.Axis, classes: NDArray[np.int64], count: int) -> F64:
    table = np.zeros((count, axis.kernel))
    for position, number in enumerate(classes):
        pixels = position * axis.stride - axis.padding + np.arange(axis.kernel) * axis.dilation
        table[number] = (pixels >= 0) & (pixels < axis.size)
    return table
