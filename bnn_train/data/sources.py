"""The sources of batches: a tensor on the device, or files decoded on the way. Both give uint8."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_train.data.affine import affine
from bnn_train.data.augment import DRAWS, pad_crop_flip
from bnn_train.data.crew import Crew
from bnn_train.data.incidents import Incidents
from bnn_train.data.loader import Decoded, Pictures, load
from bnn_train.data.randomness import Ids
from bnn_train.data.resident import Kept
from bnn_train.data.transfer import ahead, to_device
from bnn_train.data.vary import varied
from bnn_train.spec.affine import Affine
from bnn_train.spec.augment import PadCropFlip, Varied

Batches = Iterator[tuple[Tensor, Tensor]]
BatchStep = PadCropFlip | Affine
"""Augmentations of a whole batch of small images."""
BATCHED: dict[type[BatchStep], Callable[..., Tensor]] = {PadCropFlip: pad_crop_flip, Affine: affine}


class Source(Protocol):
    """Images by position in their file (a position is also the sample's id for its random draws)."""

    def batches(self, order: Ids, epoch: int | None, batch_size: int, spares: Ids | None = None) -> Batches:
        """The images ``order``, in that order: uint8 B×C×H×W and int64 labels on the device.

        Augmented as in that epoch; as in evaluation with epoch None. ``spares``: where the next of
        these takes the place of a damaged image.
        """

    def labels_of(self, positions: Ids) -> Ids:
        """The labels at these positions."""

    def names_of(self, positions: Ids) -> NDArray[Any] | None:
        """The images' names at these positions, as bytes; None where they have none."""


class TensorSource:
    """All images as one uint8 tensor. ``device``: where batches go, if not where it lies."""

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        augment: tuple[BatchStep | Varied, ...],
        seed: int,
        device: torch.device | None = None,
    ) -> None:
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.labels, self.augment, self.seed = labels, augment, seed
        self.device = device or images.device

    def batches(self, order: Ids, epoch: int | None, batch_size: int, spares: Ids | None = None) -> Batches:
        """See ``Source``."""
        batches = ahead(self._stored(order, batch_size), self.device)
        for at, (images, labels) in zip(range(0, len(order), batch_size), batches, strict=True):
            if epoch is not None:
                images = self._augmented(images, order[at : at + batch_size], epoch)
            yield images, labels

    def _stored(self, order: Ids, batch_size: int) -> Batches:
        positions = to_device(torch.from_numpy(order), self.images.device)
        for at in range(0, len(order), batch_size):
            batch = positions[at : at + batch_size]
            images = self.images.permute(0, 2, 3, 1).index_select(0, batch).permute(0, 3, 1, 2)
            yield images, self.labels[batch]

    def labels_of(self, positions: Ids) -> Ids:
        """See ``Source``."""
        return self.labels.cpu().numpy()[positions]

    def names_of(self, positions: Ids) -> NDArray[Any] | None:
        """See ``Source``."""
        return None

    def _augmented(self, images: Tensor, ids: Ids, epoch: int) -> Tensor:
        vary = tuple(step for step in self.augment if isinstance(step, Varied))
        for number, step in enumerate(self.augment):
            if isinstance(step, Varied):
                continue
            images = BATCHED[type(step)](
                images, step, seed=self.seed, epoch=epoch, ids=ids, first_draw=number * DRAWS
            )
        if not vary:
            return images
        pairs = zip(images, ids.tolist(), strict=True)
        return torch.stack([varied(image, vary, self.seed, epoch, sample) for image, sample in pairs])


class FolderSource:
    """Image files, decoded in worker processes. Those of training stay from one epoch to the next. ``kept``:
    the pictures that stay, too."""

    def __init__(
        self, pictures: Pictures, workers: int, device: torch.device, kept: Kept | None = None
    ) -> None:
        self.pictures, self.workers, self.device, self.kept = pictures, workers, device, kept
        self.incidents = Incidents(pictures.listing.called, pictures.exif)
        self._staying: tuple[Ids | None, Crew[Decoded]] | None = None

    def batches(self, order: Ids, epoch: int | None, batch_size: int, spares: Ids | None = None) -> Batches:
        """See ``Source``."""
        batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
        if epoch is not None or spares is not None or self.kept is None:
            yield from self._decoded(batches, epoch, spares)
        elif self.kept.holds(order):
            yield from map(self.kept.batch, batches)
        else:
            for batch, (images, labels) in zip(batches, self._decoded(batches, None, None), strict=True):
                self.kept.put(batch, images, labels)
                yield images, labels

    def _decoded(self, batches: list[Ids], epoch: int | None, spares: Ids | None) -> Batches:
        decoders = self._crew(len(batches), epoch, spares)
        try:
            loaded = load(decoders, self.pictures.listing, batches, epoch, self.incidents)
            yield from ahead(loaded, self.device)
        finally:
            if self._staying is None or decoders is not self._staying[1]:
                decoders.close()

    def _crew(self, batches: int, epoch: int | None, spares: Ids | None) -> Crew[Decoded]:
        pictures, pin = replace(self.pictures, spares=spares), self.device.type == "cuda"
        if epoch is not None and self.workers and batches:
            if self._staying is None or self._staying[0] is not spares or not self._staying[1].open:
                self._staying = (spares, Crew(pictures, self.workers, pin=pin))
            if not self._staying[1].busy:
                return self._staying[1]
        return Crew(pictures, min(self.workers, batches), asked=self.workers, pin=pin)

    def labels_of(self, positions: Ids) -> Ids:
        """See ``Source``."""
        return self.pictures.listing.labels[positions]

    def names_of(self, positions: Ids) -> NDArray[Any] | None:
        """See ``Source``."""
        return self.pictures.listing.paths[positions]
