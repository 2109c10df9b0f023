"""Decoding in worker processes. What a picture becomes depends on (seed, epoch, sample) alone, so neither the
number of workers nor their order matters."""

from __future__ import annotations

import atexit
import multiprocessing
import signal
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from types import FrameType
from weakref import WeakSet

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from bnn_train.data.decode import Crop, Draws, Picture, for_evaluation, for_training, read_rgb
from bnn_train.data.folder import Listing
from bnn_train.data.randomness import Ids
from bnn_train.errors import DataError

Key = tuple[int, int | None]
"""(image, epoch); epoch None: as in evaluation."""


SHARED = "/dev/shm"  # noqa: S108  # named in sentences, not written to
"""Where processes on Linux share memory."""


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
    decoded = _guarded(_started(loader, workers), workers)
    _LIVE.add(decoded)
    for batch, images in zip(batches, decoded, strict=True):
        labels = torch.from_numpy(pictures.listing.labels[batch])
        yield images.permute(0, 3, 1, 2), labels


Decoded = Tensor | NDArray[np.uint8] | DataError
"""A batch; as an array where it came through a pipe."""


def _started(loader: Iterable[Decoded], workers: int) -> Iterator[Decoded]:
    """As many locks as a pool takes are tried first: torch's cannot clean up after a failed start."""
    context = multiprocessing.get_context()
    try:
        tried = [context.Event(), *(context.Queue() for _ in range(workers + 2))] if workers else []
        del tried
        return iter(loader)
    except OSError as error:
        raise DataError(
            f"{workers} worker processes cannot start ({error.strerror}); they keep their locks and images in"
            f" {SHARED}: give it more room, or set data.workers to 0"
        ) from None


def _guarded(batches: Iterator[Decoded], workers: int) -> Generator[Tensor]:
    """The batches, faults raised. The processes end with this generator: no frame that an exception keeps
    alive may hold ``batches``, or they would linger and be shut down from the midst of a later pool."""
    try:
        while (images := next(batches, None)) is not None:
            if isinstance(images, DataError):
                raise images
            yield images if isinstance(images, Tensor) else torch.from_numpy(images)
    except (RuntimeError, OSError, MemoryError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = lines[-1] if lines[0].startswith("Caught ") else lines[0]
        raise DataError(
            f"decoding in {workers} worker processes failed ({reason});"
            f" lower data.workers if memory or {SHARED} is short"
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


def _collate(pictures: list[Picture | DataError]) -> Decoded:
    """The batch in shared memory, or, where that has no room, as an array, which goes through a pipe: to find
    out only on sending would print a traceback, and the batch would never come."""
    faults = [picture for picture in pictures if isinstance(picture, DataError)]
    if faults:
        return faults[0]
    images = np.stack(pictures)  # type: ignore[arg-type]  # no fault among them
    if get_worker_info() is None:
        return torch.from_numpy(images)
    try:
        shared: Tensor = torch.from_numpy(images).share_memory_()  # type: ignore[no-untyped-call]  # in torch
        return shared
    except (RuntimeError, OSError):
        return images


def _start_worker(_number: int) -> None:
    """A stop signal is for the main process, which finishes its step with the workers' help."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _spare_once)


def _spare_once(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
