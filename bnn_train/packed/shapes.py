"""The size of a window's result, and the taps that lie inside the map. Whole numbers of any size
in, so that nothing overflows before it is checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.program import Geometry

Size = tuple[int, int]
Indices = NDArray[np.int64]


class Axis(NamedTuple):
    """One direction of a window: rows or columns."""

    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int

    @property
    def reach(self) -> int:
        """Pixels from the first tap to the last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    def behind(self) -> int:
        """Pixels behind the map that a window without ``ceil`` reaches."""
        return max(0, (self.steps() - 1) * self.stride - self.padding + self.reach - self.size)

    def steps(self, ceil: bool = False) -> int:
        """Output pixels; 0 or fewer where the window does not fit. ``ceil`` as in PyTorch's pooling: a last
        window may leave the padded map, unless it begins outside the map and its left padding."""
        room = self.size + 2 * self.padding - self.reach
        count = (-(-room // self.stride) if ceil else room // self.stride) + 1
        if ceil and (count - 1) * self.stride >= self.size + self.padding:
            count -= 1
        return count

    def inside(self, tap: int, steps: int) -> tuple[int, int, int]:
        """For one tap: the first output pixel that sees the map through it, the end of those, and the first's
        input pixel."""
        shift = tap * self.dilation - self.padding
        first = max(0, -(shift // self.stride))
        end = min(steps, (self.size - 1 - shift) // self.stride + 1)
        return first, max(first, end), first * self.stride + shift

    def taps_inside(self, steps: int, padded: bool = False) -> tuple[Indices, Indices]:
        """First tap and end of the taps inside the map (``padded``: inside the padded map) for every output
        pixel."""
        return self.taps_at(np.arange(steps, dtype=np.int64), padded)

    def taps_at(self, outputs: Indices, padded: bool = False) -> tuple[Indices, Indices]:
        """``taps_inside`` for some output pixels."""
        start = outputs * self.stride - self.padding
        low, high = (-self.padding, self.size + self.padding) if padded else (0, self.size)
        first = np.maximum(0, -((start - low) // self.dilation))
        end = np.minimum(self.kernel, (high - 1 - start) // self.dilation + 1)
        return first, np.maximum(first, end)


def axes(geometry: Geometry, height: int, width: int) -> tuple[Axis, Axis]:
    """The two directions of a window over a map."""
    g = geometry
    rows, columns = zip((height, width), g.kernel, g.stride, g.padding, g.dilation, strict=True)
    return Axis(*rows), Axis(*columns)


def output_size(geometry: Geometry, height: int, width: int, ceil: bool = False) -> Size:
    """H′ and W′; not positive where the window does not fit."""
    rows, columns = axes(geometry, height, width)
    return rows.steps(ceil), columns.steps(ceil)


def border_classes(geometry: Geometry, height: int, width: int) -> tuple[Indices, Indices, int, int]:
    """Row class of each output row, column class of each output column, and how many of each there are.

    A row class is a distinct set of kernel rows that lie inside the map, numbered in order of first
    appearance from output row 0 on; columns alike. The class of a pixel is row class · number of column
    classes + column class.
    """
    rows, columns = (_classes(axis) for axis in axes(geometry, height, width))
    return rows, columns, int(rows.max()) + 1, int(columns.max()) + 1


def border_class_count(geometry: Geometry, height: int, width: int) -> int:
    """The count of border classes; takes time for the kernel's taps, not for the map's pixels."""
    rows, columns = (int(_stretches(axis)[1].max()) + 1 for axis in axes(geometry, height, width))
    return rows * columns


def _classes(axis: Axis) -> Indices:
    starts, classes = _stretches(axis)
    return np.repeat(classes, np.diff(starts, append=axis.steps()))


def _stretches(axis: Axis) -> tuple[Indices, Indices]:
    """First outputs of the stretches whose taps inside are the same, and the class of each.

    From output to output the first tap inside and the end only fall, each at most as often as there are taps.
    """
    steps, taps = axis.steps(), np.arange(axis.kernel, dtype=np.int64)
    # The first output whose tap t is the first inside or lies before the map's end.
    first = -((taps * axis.dilation - axis.padding) // axis.stride)
    end = (axis.size - 1 + axis.padding - taps * axis.dilation) // axis.stride + 1
    edges = np.sort(np.concatenate([np.zeros(1, np.int64), first, end]))
    edges = edges[(edges >= 0) & (edges < steps)]
    starts = edges[_changes(edges)]
    low, high = axis.taps_at(starts)
    seen = np.where(low < high, low * (axis.kernel + 1) + high, 0)
    changed = _changes(seen)
    starts, seen = starts[changed], seen[changed]
    # Only those that see nothing may lie apart.
    none = np.flatnonzero(seen == 0)
    again = np.zeros(len(seen), np.bool_)
    again[none[1:]] = True
    classes = np.cumsum(~again) - 1
    classes[again] = classes[none[0]] if len(none) else 0
    return starts, classes


def _changes(numbers: Indices) -> NDArray[np.bool_]:
    """True where a number differs from the one before it; the first does."""
    return np.concatenate([np.ones(1, np.bool_), numbers[1:] != numbers[:-1]])


class Tap(NamedTuple):
    """One position of a window: where it stands in the kernel, which output pixels see the map through it,
    and which input pixels those are."""

    row: int
    column: int
    outputs: tuple[slice, slice]
    inputs: tuple[slice, slice]


def taps(geometry: Geometry, map_size: Sequence[int], size: Size) -> Iterator[Tap]:
    """The positions of a window over a map H, W in row order, those that never see the map left out;
    ``size``: H′ and W′."""
    rows, columns = axes(geometry, map_size[0], map_size[1])
    for row in range(rows.kernel):
        top = _slices(rows, row, size[0])
        for column in range(columns.kernel):
            left = _slices(columns, column, size[1])
            if top and left:
                yield Tap(row, column, (top[0], left[0]), (top[1], left[1]))


def _slices(axis: Axis, tap: int, steps: int) -> tuple[slice, slice] | None:
    first, end, start = axis.inside(tap, steps)
    if first == end:
        return None
    return slice(first, end), slice(start, start + (end - first - 1) * axis.stride + 1, axis.stride)
