"""Sums of real or whole numbers over a window: real weights, weights rounded to digits, and pixels.

Every function: x N×H×W×C, w O×Kh×Kw×I, result N×H′×W′×O; a tap outside the map contributes 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.program import Geometry
from bnn_train.packed.reference.blocks import blocks, row_blocks
from bnn_train.packed.shapes import output_size, taps

Array = NDArray[Any]
_EXACT = 2**53
"""float64 adds whole numbers below this without rounding, and BLAS is faster than int64."""


def real(x: Array, w: Array, geometry: Geometry) -> NDArray[np.float32]:
    """float32, the order of the sum left open."""
    return np.asarray(_windowed(x, w, geometry, np.float32))


def whole(x: Array, w: Array, geometry: Geometry) -> NDArray[np.int64]:
    """The exact sum of pixels (uint8, or int8 digits) times whole-number weights."""
    most = int(np.abs(w.astype(np.int64)).sum(axis=(1, 2, 3)).max()) * 255
    dtype = np.float64 if most < _EXACT else np.int64
    return _windowed(x, w, geometry, dtype).astype(np.int64)


def in_order(x: Array, w: Array, geometry: Geometry) -> NDArray[np.float32]:
    """Pixels times whole weights of up to 24 bits, added one by one in the order (row, column, channel of the
    group): s = fma(w, x, s) in float32, from 0 on.

    Every s is a whole number of at most 2⁵² and every w·x has 32 bits at most (FORMAT.md §6, rule 10), so
    that float64 holds s + w·x as it is and its rounding to float32 is the only one.
    """
    y = np.zeros((len(x), *output_size(geometry, *x.shape[1:3]), len(w)), np.float32)
    inner, outer = w.shape[3], len(w) // geometry.groups
    for g in range(geometry.groups):
        own, filters = slice(g * inner, (g + 1) * inner), slice(g * outer, (g + 1) * outer)
        for some in blocks(len(x), y[0].size):
            _add_in_order(y[some, ..., filters], x[some, ..., own], w[filters].astype(np.float64), geometry)
    return y


def _add_in_order(y: Array, x: Array, w: Array, geometry: Geometry) -> None:
    """One group's taps, each channel of each an addition of its own."""
    for tap in taps(geometry, x.shape[1:3], (y.shape[1], y.shape[2])):
        seen, target = x[:, tap.inputs[0], tap.inputs[1]], y[:, tap.outputs[0], tap.outputs[1]]
        for rows in row_blocks(target.shape):
            sums = target[:, rows]
            for i in range(x.shape[3]):
                sums[...] = sums + seen[:, rows, :, i, None] * w[:, tap.row, tap.column, i]


def rounded(x: Array, w: Array, geometry: Geometry) -> NDArray[np.float32]:
    """x rounded to 8 bits, image by image: m = max |x|, q = rint(x·(127/m)), y = (Σ q·w)·(m/127).

    Where 127/m is not a finite number above 0 (m is 0, tiny, infinite or NaN), q is 0: y is then 0, or NaN
    where m/127 is not finite.
    """
    m = np.abs(x).max(axis=(1, 2, 3), keepdims=True)
    factor = np.float32(127) / m
    usable = np.isfinite(factor) & (factor > 0)
    q = np.where(usable, np.rint(x * factor), np.float32(0)).astype(np.int8)
    return np.asarray(whole(q, w, geometry).astype(np.float32) * (m / np.float32(127)))


def _windowed(x: Array, w: Array, geometry: Geometry, dtype: Any) -> Array:
    """Each group's channels apart; a window that is the whole map is one dot product."""
    height, width = x.shape[1:3]
    size = output_size(geometry, height, width)
    if (
        geometry.groups == 1
        and (*size, *geometry.kernel) == (1, 1, height, width)
        and geometry.padding == (0, 0)
    ):
        y = (
            x.reshape(len(x), -1).astype(dtype, copy=False)
            @ w.reshape(len(w), -1).astype(dtype, copy=False).T
        )
        return np.asarray(y).reshape(len(x), 1, 1, len(w))
    y = np.zeros((len(x), *size, len(w)), dtype)
    inner, outer = w.shape[3], len(w) // geometry.groups
    for g in range(geometry.groups):
        own, filters = slice(g * inner, (g + 1) * inner), slice(g * outer, (g + 1) * outer)
        _accumulate(y[..., filters], x[..., own].astype(dtype), w[filters].astype(dtype), geometry)
    return y


def _accumulate(y: Array, x: Array, w: Array, geometry: Geometry) -> None:
    """Add one group's taps, each a matrix product."""
    for tap in taps(geometry, x.shape[1:3], (y.shape[1], y.shape[2])):
        seen = x[:, tap.inputs[0], tap.inputs[1]]
        part = seen.reshape(-1, x.shape[3]) @ w[:, tap.row, tap.column].T
        y[:, tap.outputs[0], tap.outputs[1]] += part.reshape(*seen.shape[:3], -1)
