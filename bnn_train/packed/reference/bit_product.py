"""Sums of codes times codes over a window, by XOR and popcount.

With a = (o + Σ_p v_p s_p)/d and w = (o′ + Σ_q v′_q t_q)/d′, the sum over n channels is
(n·o·o′ + o·Σ_q v′_q Σt_q + o′·Σ_p v_p Σs_p + Σ_pq v_p v′_q s_p·t_q) / (d·d′), where a sum of signs is n −
2·popcount(s) and s·t = n − 2·popcount(s XOR t).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import bits
from bnn_train.packed.program import Code, Geometry
from bnn_train.packed.reference.blocks import row_blocks
from bnn_train.packed.shapes import output_size, taps

Array = NDArray[Any]


def bit_product(
    x: Array, channels: int, a: Code, rows: Array, w: Code, geometry: Geometry, pad: int
) -> NDArray[np.int32]:
    """x: words N×H×W×P×⌈C/32⌉; rows: the filters' bits Q×O×⌈n/8⌉. Exact N×H′×W′×O.

    Taps outside the map have the code ``pad``.
    """
    inner = channels // geometry.groups
    filters = bits.filter_words(rows, (*geometry.kernel, inner))
    outer = filters.shape[1] // geometry.groups
    y = np.empty((len(x), *output_size(geometry, *x.shape[1:3]), filters.shape[1]), np.int64)
    for g in range(geometry.groups):
        own = slice(g * outer, (g + 1) * outer)
        group = _Group(_group_words(x, channels, g, geometry.groups), _wide(filters[:, own]), inner, a, w)
        y[..., own] = group.run(geometry, pad)
    return y.astype(np.int32)


def _group_words(x: Array, channels: int, group: int, groups: int) -> NDArray[np.uint64]:
    """One group's channels, in words of their own."""
    if groups == 1:
        return _wide(x)
    inner = channels // groups
    signs = bits.unpack_words(x, channels)[..., group * inner : (group + 1) * inner]
    return _wide(bits.pack_words(signs))


def _wide(words: Array) -> NDArray[np.uint64]:
    """The last axis as uint64, two words each."""
    if words.shape[-1] % 2:
        words = np.concatenate([words, np.zeros((*words.shape[:-1], 1), np.uint32)], axis=-1)
    return np.ascontiguousarray(words).view(np.uint64)


class _Group:
    """One group's channels (N×H×W×P×W) and filters (Q×O×Kh×Kw×W)."""

    def __init__(self, x: Array, filters: Array, channels: int, a: Code, w: Code) -> None:
        self.x, self.filters, self.channels, self.a, self.w = x, filters, channels, a, w
        negative = bits.popcount(filters).sum(axis=-1, dtype=np.int64)
        self.filter_sums = np.einsum("q...,q->...", channels - 2 * negative, np.array(w.values))  # O×Kh×Kw
        self.weights = (channels * w.offset + self.filter_sums) // w.denominator

    def run(self, geometry: Geometry, pad: int) -> Array:
        """N×H′×W′×O. Starts from the sum of a window that is all padding and exchanges the taps inside."""
        size = output_size(geometry, *self.x.shape[1:3])
        outside = pad * self.weights
        y = np.empty((len(self.x), *size, len(outside)), np.int64)
        y[:] = outside.sum(axis=(1, 2))
        for tap in taps(geometry, self.x.shape[1:3], size):
            for image, result in zip(self.x[:, tap.inputs[0], tap.inputs[1]], y, strict=True):
                target = result[tap.outputs[0], tap.outputs[1]]
                for rows in row_blocks((1, *target.shape)):
                    seen = np.ascontiguousarray(image[rows]).reshape(-1, *image.shape[2:])
                    target[rows] += self._tap(seen, tap.row, tap.column).reshape(target[rows].shape)
                target -= outside[:, tap.row, tap.column]
        return y

    def _tap(self, x: Array, row: int, column: int) -> Array:
        """M×P×W pixels with one tap of every filter: M×O sums of code products."""
        filters, n = self.filters[:, :, row, column], self.channels
        total = n * self.a.offset * self.w.offset + self.a.offset * self.filter_sums[:, row, column]
        total = np.broadcast_to(total, (len(x), filters.shape[1])).astype(np.int64)
        for p, value in enumerate(self.a.values):
            if self.w.offset:
                signs = n - 2 * bits.popcount(x[:, p]).sum(axis=-1, dtype=np.int64)
                total += self.w.offset * value * signs[:, None]
            for q, factor in enumerate(self.w.values):
                total += value * factor * (n - 2 * _differences(x[:, p], filters[q]))
        return np.asarray(total // (self.a.denominator * self.w.denominator))


def _differences(x: Array, filters: Array) -> NDArray[np.int64]:
    """popcount(x XOR filter), M×W with O×W: M×O."""
    count = np.zeros((len(x), len(filters)), np.int64)
    for word in range(x.shape[1]):
        count += bits.popcount(np.bitwise_xor(x[:, word, None], filters[None, :, word]))
    return count
