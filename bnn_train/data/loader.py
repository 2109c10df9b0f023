"""Decoding in worker processes. A picture depends on (seed, epoch, sample) alone, so neither the
number of workers nor their order matters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from bnn_train.data.crew import Crew
from bnn_train.data.decode import Crop, Draws, for_evaluation, for_training
from bnn_train.data.folder import Listing
from bnn_train.data.incidents import Incidents
from bnn_train.data.randomness import Ids
from bnn_train.data.vary import varied
from bnn_train.errors import DataError, ImageError, printable
from bnn_train.packed.photo import Exif, Photo, read_photo
from bnn_train.packed.resample import Picture
from bnn_train.spec.augment import Varied

PICTURE_MODES = {1: "L", 3: "RGB"}
"""PIL's mode by the number of channels."""
_OR_SKIP = "or leave such images out of training: --set data.on_error=skip"
_IN_A_ROW = 100
"""So many damaged images one after the other are a damaged folder."""
Key = tuple[int, int | None]
"""(image, epoch); epoch None: as in evaluation."""


class Decoded(NamedTuple):
    """A batch from a process, every place filled."""

    images: Tensor | Picture
    """uint8 B×H×W×C; as an array where it came through a pipe."""
    shown: list[int]
    """The image in every place: the one that was asked for, unless it is damaged."""
    damaged: dict[int, str]
    """Images, and what is wrong with them, their names left out."""
    turned: list[int]
    """Images that EXIF data want turned."""


@dataclass(frozen=True)
class Pictures(Dataset[Decoded | DataError]):
    """The pictures of a listing by (image, epoch), a batch at a time."""

    listing: Listing
    size: int
    """Height and width of a picture."""
    resize: int
    """Evaluation: shorter side before the centre crop."""
    augment: Crop | None
    seed: int
    exif: Exif = "ignore"
    vary: tuple[Varied, ...] = ()
    """Changes of a cropped training picture."""
    mode: str = "RGB"
    """PIL's, `L` where the model sees grey."""
    spares: Ids | None = None
    """Ascending: the next of these, in a circle, takes the place of a damaged image. None: none does."""

    def __getitems__(self, keys: list[Key]) -> Decoded | DataError:
        """The pictures of a batch. A fault is returned, not raised: an exception would come out of a process
        as a traceback."""
        pictures, damaged = [], dict[int, str]()
        shown, turned = [], []
        try:
            for index, epoch in keys:
                found, picture, is_turned = self._picture(index, epoch, damaged)
                pictures.append(picture)
                shown.append(found)
                turned += [found] if is_turned else []
        except DataError as error:
            return error
        return Decoded(_shared(np.stack(pictures)), shown, damaged, turned)

    def photo(self, index: int) -> Photo:
        """One image as it is stored. Raises ImageError for one at fault."""
        listing = self.listing
        if listing.shards is not None:
            return listing.shards.photo(index, self.mode, self.exif)
        return read_photo(listing.path(index), self.mode, self.exif, listed=True)

    def _picture(self, index: int, epoch: int | None, damaged: dict[int, str]) -> tuple[int, Picture, bool]:
        """The image that is shown, H×W×C, and whether EXIF data want it turned."""
        for candidate in self._candidates(index):
            try:
                pixels, turned = self.photo(candidate)
                return candidate, self._cropped(pixels, candidate, epoch), turned
            except ImageError as error:
                if self.spares is None:
                    raise error if epoch is None else ImageError(f"{error}; {_OR_SKIP}") from error
                damaged[candidate] = str(error).removeprefix(f"{printable(self.listing.path(candidate))}: ")
        first = f"{printable(self.listing.path(index))}: {damaged[index]}"
        raise DataError(f"{first}; and so is every image after it, {len(damaged)} in a row")

    def _candidates(self, index: int) -> Iterator[int]:
        yield index
        if self.spares is not None:
            after = int(np.searchsorted(self.spares, index, side="right"))
            count = min(_IN_A_ROW, len(self.spares)) - 1
            yield from (int(self.spares[(after + i) % len(self.spares)]) for i in range(count))

    def _cropped(self, pixels: Picture, index: int, epoch: int | None) -> Picture:
        if epoch is None:
            return for_evaluation(pixels, self.size, self.resize)
        draws = Draws(self.seed, epoch, index)
        if self.augment is None:
            picture = for_evaluation(pixels, self.size, self.resize)
        else:
            picture = for_training(pixels, self.size, self.augment, draws)
        return self._varied(picture, epoch, index) if self.vary else picture

    def _varied(self, picture: Picture, epoch: int, index: int) -> Picture:
        pixels = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
        changed = varied(pixels, self.vary, self.seed, epoch, index)
        return np.ascontiguousarray(changed.permute(1, 2, 0).numpy())

    def __len__(self) -> int:
        return len(self.listing.labels)


def load(
    decoders: Crew[Decoded],
    listing: Listing,
    batches: list[Ids],
    epoch: int | None,
    incidents: Incidents,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of images by their numbers: uint8 B×C×H×W and int64 labels, on the CPU. Damaged and turned
    images are added to ``incidents`` as their batch is given out."""
    decoded = decoders.run([[(int(index), epoch) for index in batch] for batch in batches])
    names, labels_of = listing.paths, listing.labels
    with closing(decoded):
        for batch, (images, shown, damaged, turned) in zip(batches, decoded, strict=True):
            faults = {bytes(names[index]): told for index, told in damaged.items()}
            places = int((batch != shown).sum()) if epoch is not None else 0
            incidents.add([bytes(names[index]) for index in turned], faults, places)
            yield torch.as_tensor(images).permute(0, 3, 1, 2), torch.from_numpy(labels_of[shown])


def _shared(images: Picture) -> Tensor | Picture:
    """The batch in shared memory, or, where that has no room, as an array, which goes through a pipe: to find
    out only on sending would print a traceback, and the batch would never come."""
    if get_worker_info() is None:
        return torch.from_numpy(images)
    try:
        shared: Tensor = torch.from_numpy(images).share_memory_()  # type: ignore[no-untyped-call]  # in torch
        return shared
    except (RuntimeError, OSError):
        return images
