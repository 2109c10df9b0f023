"""Mean and standard deviation of training pixels, for images of which nobody has published them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from bnn_train.data.folder import Listing
from bnn_train.data.randomness import Ids
from bnn_train.data.sources import FolderSource
from bnn_train.errors import DataError
from bnn_train.spec.found import Statistics

MOST = 20_000
"""Images of a folder that are read: four digits are certain with fewer."""
_LEAST_STD = 1 / 255
"""Of images of one colour; to divide by less would make noise of rounding."""


def of_files(source: FolderSource, batch_size: int, spares: Ids | None) -> Statistics:
    """Of a listing's images as evaluations see them: all, or ``MOST`` spread evenly over them."""
    listing = source.pictures.listing
    count = len(listing.labels)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST)).astype(np.int64))
    batches = (images for images, _ in source.batches(chosen, None, batch_size, spares))
    return of_batches(batches, _names_and_sizes(listing))


def of_batches(batches: Iterable[Tensor], digest: str) -> Statistics:
    """Of uint8 B×C×H×W. Sums of whole numbers, so that neither batches nor their order matter."""
    images, pixels = 0, 0
    sums, squares = torch.zeros((), dtype=torch.int64), torch.zeros((), dtype=torch.int64)
    for batch in batches:
        planes = batch.transpose(0, 1).flatten(1).to(torch.int32)
        images, pixels = images + len(batch), pixels + planes.shape[1]
        sums = sums + planes.sum(dim=1, dtype=torch.int64).cpu()
        squares = squares + planes.square().sum(dim=1, dtype=torch.int64).cpu()
    if not images:
        raise DataError("there are no training images to read mean and standard deviation off")
    mean = sums.double() / pixels
    std = (squares.double() / pixels - mean.square()).clamp_min(0).sqrt() / 255
    return Statistics(
        mean=tuple(round(value, 6) for value in (mean / 255).tolist()),
        std=tuple(round(max(value, _LEAST_STD), 6) for value in std.tolist()),
        images=images,
        digest=digest,
    )


def _names_and_sizes(listing: Listing) -> str:
    digest = hashlib.sha256()
    sizes = None if listing.shards is None else listing.shards.columns["size"].tolist()
    for index, name in enumerate(listing.paths.tolist()):
        try:
            size = os.stat(listing.path(index)).st_size if sizes is None else sizes[index]
        except OSError:
            size = -1
        digest.update(b"%s\0%d\0" % (name, size))
    return digest.hexdigest()
