"""Decoding in worker processes. What a picture becomes depends on (seed, epoch, sample) alone, so neither the
number of workers nor their order matters."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from types import FrameType
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bnn_train.data.decode import Crop, Draws, Picture, for_evaluation, for_training, read_rgb
from bnn_train.data.folder import Listing
from bnn_train.data.randomness import Ids
from bnn_train.errors import DataError

Key = tuple[int, int | None]
"""(image, epoch); epoch None: as in evaluation."""


@dataclass(frozen=True)
class Pictures(Dataset[Picture | DataError]):
    """The pictures of a listing by (image, epoch)."""

    listing: Listing
    size: int
    """Height and width of a picture."""
    resize: int
    """Evaluation: shorter side before the centre crop."""
    augment: Crop | None
    seed: int

    def __getitem__(self, key: Key) -> Picture | DataError:
        """H×W×3. A fault is returned, not raised: an exception would come out of a process as a traceback."""
        index, epoch = key
        try:
            image = read_rgb(self.listing.path(index))
        except DataError as error:
            return error
        if epoch is None or self.augment is None:
            return for_evaluation(image, self.size, self.resize)
        return for_training(image, self.size, self.augment, Draws(self.seed, epoch, index))

    def __len__(self) -> int:
        return len(self.listing.labels)


def load(
    pictures: Pictures, order: Ids, epoch: int | None, *, batch_size: int, workers: int, pin: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the images ``order``: uint8 B×3×H×W and int64 labels, on the CPU."""
    batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    loader = DataLoader(
        pictures,
        batch_sampler=[[(int(index), epoch) for index in batch] for batch in batches],
        num_workers=min(workers, len(batches)),
        collate_fn=_collate,
        worker_init_fn=_start_worker,
        pin_memory=pin,
    )
    decoded = _guarded(iter(loader), workers)
    _LIVE.add(decoded)
    for batch, images in zip(batches, decoded, strict=True):
        labels = torch.from_numpy(pictures.listing.labels[batch])
        yield images.permute(0, 3, 1, 2), labels


def _guarded(batches: Iterator[Tensor | DataError], workers: int) -> Generator[Tensor]:
    """The batches, faults raised. The processes end with this generator: no frame that an exception keeps
    alive may hold ``batches``, or they would linger and be shut down from the midst of a later pool."""
    try:
        while (images := next(batches, None)) is not None:
            if isinstance(images, DataError):
                raise images
            yield images
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"decoding in {workers} worker processes failed ({reason});"
            " lower data.workers if memory or /dev/shm is short"
        ) from error.with_traceback(None)
    finally:
        del batches


_LIVE: WeakSet[Generator[Tensor]] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Batches that are held to the end: without this, the interpreter would wait for their processes, which
    spare it one SIGTERM."""
    for decoded in list(_LIVE):
        decoded.close()


def _collate(pictures: list[Picture | DataError]) -> Tensor | DataError:
    faults = [picture for picture in pictures if isinstance(picture, DataError)]
    return faults[0] if faults else torch.from_numpy(np.stack(pictures))  # type: ignore[arg-type]  # no fault among them


def _start_worker(_number: int) -> None:
    """A stop signal is for the main process, which finishes its step with the workers' help."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _spare_once)


def _spare_once(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
