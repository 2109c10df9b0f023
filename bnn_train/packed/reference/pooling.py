"""The steps without weights: pooling, K of XNOR-Net, the shortcut that skips pixels, the mean of a map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import bits
from bnn_train.packed.program import InputScale, Pool, Subsample
from bnn_train.packed.shapes import axes, output_size, taps

Array = NDArray[Any]


def pool(x: Array, step: Pool, flip: Array | None) -> Array:
    """N×H×W×… to N×H′×W′×…; ``flip``: uint8 C, for ``bits``."""
    if step.kind == "average":
        return _average(x, step)
    if x.dtype == np.float32:
        return _reduce(x, step, np.maximum, -np.inf)
    # +1, the clear bit, wins a maximum and loses a minimum
    highest = _reduce(x, step, np.bitwise_and, 0xFFFFFFFF)
    if flip is None:
        return highest
    lowest, mask = _reduce(x, step, np.bitwise_or, 0), bits.pack_words(flip.astype(np.bool_))
    return (highest & ~mask) | (lowest & mask)


def _reduce(x: Array, step: Pool, combine: np.ufunc, start: float) -> Array:
    size = output_size(step.geometry, x.shape[1], x.shape[2], step.ceil)
    y = np.full((len(x), *size, *x.shape[3:]), start, x.dtype)
    for tap in taps(step.geometry, x.shape[1:3], size):
        target = y[:, tap.outputs[0], tap.outputs[1]]
        combine(target, x[:, tap.inputs[0], tap.inputs[1]], out=target)
    return y


def _average(x: Array, step: Pool) -> Array:
    counts = []
    for axis in axes(step.geometry, *x.shape[1:3]):
        first, end = axis.taps_inside(axis.steps(step.ceil), padded=step.include_padding)
        counts.append(end - first)
    divisor = np.outer(*counts).astype(np.float32)
    return _reduce(x, step, np.add, 0) / divisor[:, :, None]


def input_scale(x: Array, step: InputScale) -> NDArray[np.float32]:
    """N×H′×W′×groups. Added in float64, rounded once."""
    height, width, channels = x.shape[1:]
    groups, kernel = step.geometry.groups, step.geometry.kernel
    sums = np.abs(x.astype(np.float64)).reshape(len(x), height, width, groups, -1).sum(axis=-1)
    size = output_size(step.geometry, height, width)
    y = np.zeros((len(x), *size, groups))
    for tap in taps(step.geometry, (height, width), size):
        y[:, tap.outputs[0], tap.outputs[1]] += sums[:, tap.inputs[0], tap.inputs[1]]
    return np.asarray(y / (kernel[0] * kernel[1] * (channels // groups)), dtype=np.float32)


def subsample(x: Array, step: Subsample, channels: int) -> NDArray[np.float32]:
    """Every ``stride``-th pixel in the channels from ``before`` on, zeros in the others."""
    kept = x[:, :: step.stride[0], :: step.stride[1]]
    y = np.zeros((*kept.shape[:3], channels), np.float32)
    y[..., step.before : step.before + kept.shape[3]] = kept
    return y


def mean(x: Array) -> NDArray[np.float32]:
    """N×1×1×C. Added in float64, rounded once."""
    return np.asarray(x.mean(axis=(1, 2), keepdims=True, dtype=np.float64), dtype=np.float32)
