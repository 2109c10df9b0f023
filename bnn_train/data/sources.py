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
from bnn_train.data.incidents import Incidents
from bnn_train.data.loader import Pictures, load
from bnn_train.data.randomness import Ids
from bnn_train.data.transfer import to_device
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
    """All images as one uint8 tensor on the device."""

    def __init__(
        self, images: Tensor, labels: Tensor, augment: tuple[BatchStep | Varied, ...], seed: int
    ) -> None:
        self.images, self.labels, self.augment, self.seed = images, labels, augment, seed

    def batches(self, order: Ids, epoch: int | None, batch_size: int, spares: Ids | None = None) -> Batches:
        """See ``Source``."""
        positions = to_device(torch.from_numpy(order), self.images.device)
        for at in range(0, len(order), batch_size):
            batch = positions[at : at + batch_size]
            images = self.images[batch]
            if epoch is not None:
                images = self._augmented(images, order[at : at + batch_size], epoch)
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
    """Image files, decoded in worker processes."""

    def __init__(self, pictures: Pictures, workers: int, device: torch.device) -> None:
        self.pictures, self.workers, self.device = pictures, workers, device
        self.incidents = Incidents(pictures.listing.called, pictures.exif)

    def batches(self, order: Ids, epoch: int | None, batch_size: int, spares: Ids | None = None) -> Batches:
        """See ``Source``."""
        pin = self.device.type == "cuda"
        pictures = replace(self.pictures, spares=spares)
        for images, labels in load(
            pictures,
            order,
            epoch,
            batch_size=batch_size,
            workers=self.workers,
            pin=pin,
            incidents=self.incidents,
        ):
            yield images.to(self.device, non_blocking=pin), to_device(labels, self.device)

    def labels_of(self, positions: Ids) -> Ids:
        """See ``Source``."""
        return self.pictures.listing.labels[positions]

    def names_of(self, positions: Ids) -> NDArray[Any] | None:
        """See ``Source``."""
        return self.pictures.listing.paths[positions]
