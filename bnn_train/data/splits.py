"""The split into training and validation images: positions in the files, as int64 arrays."""

from __future__ import annotations

import numpy as np

from bnn_train.data.randomness import Ids, permutation
from bnn_train.errors import DataError
from bnn_train.spec.data import Data
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.inputs import validation_size

_ORDER = -1
"""The "epoch" that draws a random validation split."""


def hold_out(config: Data, parts: list[Ids], seed: int) -> tuple[Ids, Ids]:
    """(train, validation) positions in the training images, both ascending.

    ``parts``: the labels of each training file set, concatenated to the training images: train, and extra
    where it is used. ``seed`` decides only a random split.
    """
    labels = np.concatenate(parts)
    size = validation_size(config)
    if size >= len(labels):
        raise DataError(
            f"data.validation.size: {size} images to hold out of {len(labels)} for training; hold out fewer"
        )
    held = _chosen(config, parts, labels, size, seed)
    mask = np.zeros(len(labels), dtype=bool)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _chosen(config: Data, parts: list[Ids], labels: Ids, size: int, seed: int) -> Ids:
    take = config.validation.take
    rule = DATASETS[config.name].hold_out if take == "auto" else take
    match rule:
        case "last":
            return np.arange(len(labels) - size, len(labels))
        case "per_class":
            return _per_class_of_parts(parts, size)
        case "balanced":
            return _first_of_each(labels, size)
    return permutation(seed, _ORDER, len(labels))[:size]


def _per_class_of_parts(parts: list[Ids], size: int) -> Ids:
    """Images of train alone, or two thirds of train and a third of extra."""
    if len(parts) == 1:
        return _first_of_each(parts[0], size)
    train, extra = parts
    of_train = size * 2 // 3
    return np.concatenate(
        [_first_of_each(train, of_train), len(train) + _first_of_each(extra, size - of_train)]
    )


def _first_of_each(labels: Ids, size: int) -> Ids:
    """The first images of every class, equally many."""
    classes = np.unique(labels)
    pairs = zip(classes, quotas(labels, size), strict=True)
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:quota] for c, quota in pairs]))


def quotas(labels: Ids, size: int) -> list[int]:
    """Images of every class among ``size``, equally many; where that does not divide, one more of the
    first ones."""
    counts = np.unique(labels, return_counts=True)[1].tolist()
    wanted = [size // len(counts) + (i < size % len(counts)) for i in range(len(counts))]
    if any(quota > count for quota, count in zip(wanted, counts, strict=True)):
        raise DataError(
            f"data.validation.size: {size} images cannot be held out equally from {len(counts)} classes, the"
            f" smallest has {min(counts)} images; hold out fewer, or take random"
        )
    return wanted


def first_by_class(positions: Ids, labels: Ids, limit: int | None) -> Ids:
    """``limit`` positions of a listing sorted by class: the first of each class, then the second, …"""
    if limit is None:
        return positions
    own = labels[positions]
    rank = np.zeros(len(own), dtype=np.int64)
    for c in np.unique(own):
        members = np.flatnonzero(own == c)
        rank[members] = np.arange(len(members))
    return np.sort(positions[np.lexsort((own, rank))[:limit]])
