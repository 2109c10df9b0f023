"""Decoding in worker processes. What a picture becomes depends on (seed, epoch, sample) alone, so neither the
number of workers nor their order matters."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bnn_train.data.decode import Crop, Draws, Picture, for_evaluation, for_training
from bnn_train.data.folder import Listing
from bnn_train.data.incidents import Incidents
from bnn_train.data.randomness import Ids
from bnn_train.errors import DataError, ImageError, printable
from bnn_train.packed.photo import Exif, read_photo

Key = tuple[int, int | None]
"""(image, epoch); epoch None: as in evaluation."""


class Decoded(NamedTuple):
    """A batch from a process, every place filled."""

    images: Tensor
    """uint8 B×H×W×3."""
    shown: list[int]
    """For every place the one whose image it shows: its own, unless that is damaged."""
    damaged: list[tuple[int, str]]
    """Places, and what is wrong with their images, their names left out."""
    turned: list[int]
    """Places of images that EXIF data want turned."""


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
    skip: bool = False
    """Whether the next readable image of the batch takes the place of a damaged one."""

    def __getitems__(self, keys: list[Key]) -> Decoded | DataError:
        """A fault is returned, not raised: an exception would come out of a process as a traceback."""
        pictures: dict[int, Picture] = {}
        damaged, turned = [], []
        for place, key in enumerate(keys):
            try:
                pictures[place], is_turned = self._picture(*key)
            except DataError as error:
                if not (self.skip and isinstance(error, ImageError)):
                    return error
                start = f"{printable(self.listing.path(key[0]))}: "
                damaged.append((place, str(error).removeprefix(start)))
            else:
                turned += [place] if is_turned else []
        if not pictures:
            first = printable(self.listing.path(keys[0][0]))
            return DataError(f"{first}: {damaged[0][1]}; so is every other image of its batch")
        shown = [_from(place, pictures) for place in range(len(keys))]
        stacked = np.stack([pictures[place] for place in shown])
        return Decoded(torch.from_numpy(stacked), shown, damaged, turned)

    def _picture(self, index: int, epoch: int | None) -> tuple[Picture, bool]:
        """H×W×3."""
        image, turned = read_photo(self.listing.path(index), "RGB", self.exif, listed=True)
        if epoch is None or self.augment is None:
            return for_evaluation(image, self.size, self.resize), turned
        return for_training(image, self.size, self.augment, Draws(self.seed, epoch, index)), turned

    def __len__(self) -> int:
        return len(self.listing.labels)


def _from(place: int, held: Iterable[int]) -> int:
    """The first of ``held``, ascending, from a place on, in a circle."""
    return next((h for h in held if h >= place), next(iter(held)))


def load(
    pictures: Pictures,
    order: Ids,
    epoch: int | None,
    *,
    batch_size: int,
    workers: int,
    pin: bool,
    incidents: Incidents,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the images ``order``: uint8 B×3×H×W and int64 labels, on the CPU. What is met on the way is
    added to ``incidents`` as its batch is given out."""
    batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    loader = DataLoader(
        pictures,
        batch_sampler=[[(int(index), epoch) for index in batch] for batch in batches],
        num_workers=min(workers, len(batches)),
        collate_fn=_as_it_is,
        worker_init_fn=_start_worker,
        pin_memory=pin,
    )
    decoded = _guarded(iter(loader), workers)
    _LIVE.add(decoded)
    for batch, (images, shown, damaged, turned) in zip(batches, decoded, strict=True):
        names = pictures.listing.paths[batch].tolist()
        faults = {names[place]: told for place, told in damaged}
        incidents.add([names[place] for place in turned], faults, trained=epoch is not None)
        labels = torch.from_numpy(pictures.listing.labels[batch[shown]])
        yield images.permute(0, 3, 1, 2), labels


def _guarded(batches: Iterator[Decoded | DataError], workers: int) -> Generator[Decoded]:
    """The batches, faults raised. The processes end with this generator: no frame that an exception keeps
    alive may hold ``batches``, or they would linger and be shut down from the midst of a later pool."""
    try:
        while (decoded := next(batches, None)) is not None:
            if isinstance(decoded, DataError):
                raise decoded
            yield decoded
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"decoding in {workers} worker processes failed ({reason});"
            " lower data.workers if memory or /dev/shm is short"
        ) from error.with_traceback(None)
    finally:
        del batches


_LIVE: WeakSet[Generator[Decoded]] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Batches that are held to the end: without this, the interpreter would wait for their processes, which
    spare it one SIGTERM."""
    for decoded in list(_LIVE):
        decoded.close()


def _as_it_is(batch: Any) -> Any:
    return batch


def _start_worker(_number: int) -> None:
    """A stop signal is for the main process, which finishes its step with the workers' help."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _spare_once)


def _spare_once(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
