"""Work cut into pieces, so that arrays that only pass by stay small beside the maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

BLOCK = 2**18
"""Numbers at a time, if a row has no more."""


def row_blocks(shape: Sequence[int]) -> Iterator[slice]:
    """Some rows of an array N×H×… at a time."""
    each = 1
    for size in (shape[0], *shape[2:]):
        each *= size
    yield from blocks(shape[1], each)


def blocks(count: int, each: int) -> Iterator[slice]:
    """Some of ``count`` things at a time that are of ``each`` numbers."""
    some = max(1, BLOCK // max(1, each))
    for at in range(0, count, some):
        yield slice(at, at + some)
