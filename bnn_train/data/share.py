"""The share of each process in a batch: neighbouring images of it, as many for each as can be."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bnn_train.data.randomness import Ids


class Counts(NamedTuple):
    """Images of a batch: those that a process counts, and all. Where it counts none it borrows one, so that
    it takes part in what processes do together."""

    own: int
    whole: int


def bounds(images: int, rank: int, size: int) -> tuple[int, int]:
    """Where a process's part of so many images begins and ends; the first have one more where it does not
    divide."""
    each, more = divmod(images, size)
    start = rank * each + min(rank, more)
    return start, start + each + (rank < more)


def shares(order: Ids, batch_size: int, rank: int, size: int, *, neighbour: bool) -> tuple[Ids, int]:
    """The places in ``order`` that a process reads, batch after batch, and how many of each full batch.

    ``neighbour``: the next image of the batch follows each share, the first behind the last, to be mixed
    with.
    """
    if size == 1:
        return order, batch_size
    start, stop = bounds(batch_size, rank, size)
    batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    read = [_part(batch, rank, size, neighbour=neighbour) for batch in batches]
    return np.concatenate(read) if read else order, stop - start + neighbour


def _part(batch: Ids, rank: int, size: int, *, neighbour: bool) -> Ids:
    start, stop = bounds(len(batch), rank, size)
    if start == stop:
        start, stop = 0, 1
    places = np.arange(start, stop + neighbour) % len(batch)
    part: Ids = batch[places]
    return part
