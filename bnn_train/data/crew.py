"""Worker processes that decode batches, and what ends them."""

from __future__ import annotations

import atexit
import multiprocessing
import signal
from collections.abc import Generator, Iterator
from types import FrameType
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from torch.utils.data import DataLoader, Dataset

from bnn_train.errors import DataError
from bnn_train.memory import keep_freed_memory

SHARED = "/dev/shm"  # noqa: S108  # named in sentences, not written to
"""The folder in which processes on Linux share memory."""
T = TypeVar("T")


class _Batches:
    """The keys of a pass's batches; processes that stay are handed those of the next."""

    def __init__(self) -> None:
        self.keys: list[list[Any]] = []

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


class Crew(Generic[T]):
    """Processes that stay from one pass over a dataset to the next; without workers, this process alone."""

    def __init__(
        self, dataset: Dataset[T | DataError], workers: int, *, asked: int | None = None, pin: bool
    ) -> None:
        """``asked``: how many the config asks for, where fewer have enough to do."""
        self._batches, self._workers, self._asked = _Batches(), workers, asked or workers
        self._loader: DataLoader[T | DataError] | None = DataLoader(
            dataset,
            batch_sampler=self._batches,
            num_workers=workers,
            collate_fn=_as_it_is,
            worker_init_fn=_start_worker,
            pin_memory=pin,
            persistent_workers=workers > 0,
        )
        self.busy = False
        """Whether a pass is under way, or was given up and is still held by somebody."""
        _LIVE.add(self)

    @property
    def open(self) -> bool:
        """Whether it can make another pass: not after a process has failed."""
        return self._loader is not None

    def close(self) -> None:
        """End the processes."""
        self._loader = None

    def run(self, batches: list[list[Any]]) -> Generator[T]:
        """For each list of keys the dataset's answer; a DataError that it returns is raised."""
        self.busy = True
        running = self._pass(batches)
        _RUNNING.add(running)
        return running

    def _pass(self, batches: list[list[Any]]) -> Generator[T]:
        self._batches.keys = batches
        found: Iterator[T | DataError] = iter(())
        try:
            found = self._started()
            while (batch := next(found, None)) is not None:
                if isinstance(batch, DataError):
                    raise batch
                yield batch
        except (RuntimeError, OSError, MemoryError) as error:
            self.close()
            lines = str(error).strip().splitlines() or [type(error).__name__]
            reason = lines[-1] if lines[0].startswith("Caught ") else lines[0]
            raise DataError(
                f"decoding in {self._asked} worker processes failed ({reason});"
                f" lower data.workers if memory or {SHARED} is short"
            ) from error.with_traceback(None)
        finally:
            self.busy = False
            # No frame that an exception keeps alive may hold them: the processes would be shut down from the
            # midst of a later pass.
            del found

    def _started(self) -> Iterator[T | DataError]:
        """Start the processes, once as many locks as they take were had: torch cannot clean up a failed
        start. Where there is no room for them, crews that wait for their next pass end."""
        if self._loader is None:
            raise DataError("the worker processes have ended; open the data anew")
        try:
            try:
                self._try_locks()
            except OSError:
                for other in list(_LIVE):
                    if not other.busy:
                        other.close()
                self._try_locks()
            return iter(self._loader)
        except OSError as error:
            self.close()
            raise DataError(
                f"{self._asked} worker processes cannot start ({error.strerror}); they keep their locks and"
                f" images in {SHARED}: give it more room, or set data.workers to 0"
            ) from None

    def _try_locks(self) -> None:
        if self._workers and getattr(self._loader, "_iterator", None) is None:
            context = multiprocessing.get_context()
            tried = [context.Event(), *(context.Queue() for _ in range(self._workers + 2))]
            del tried


_LIVE: WeakSet[Crew[Any]] = WeakSet()
_RUNNING: WeakSet[Generator[Any]] = WeakSet()


@atexit.register
def _close_all() -> None:
    """End the processes that are held to the end: the interpreter would wait for them, and they ignore its
    first SIGTERM."""
    for running in list(_RUNNING):
        running.close()
    for crew in list(_LIVE):
        crew.close()


def _as_it_is(batch: Any) -> Any:
    return batch


def _start_worker(_number: int) -> None:
    """Leave stop signals to the main process, which finishes its step with the workers' help."""
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _spare_once)


def _spare_once(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
