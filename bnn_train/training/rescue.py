"""Steps that are done outlive what ends a run: a checkpoint is saved before an error leaves the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bnn_train.errors import BnnError, Interrupted, NonFiniteError
from bnn_train.training.progress import Progress
from bnn_train.training.records import Recorder


@contextmanager
def nothing_lost(recorder: Recorder, progress: Progress, check: Callable[[], None]) -> Iterator[None]:
    """Save what was trained inside when an error of data or surroundings ends it, and tell so.

    ``check`` raises NonFiniteError where the network may not be saved. A step that broke off while weights
    were moving is not saved, nor an epoch whose own checkpoint was refused.
    """
    epochs = progress.epochs_finished
    try:
        yield
    except (Interrupted, NonFiniteError):
        raise
    except Exception as error:
        if progress.step == 0 or recorder.learner.torn or progress.epochs_finished != epochs:
            raise
        told = _saved(recorder, progress, check)
        if isinstance(error, BnnError):
            error.args = (f"{error}; {told}",)
        else:
            recorder.console.warn(told)
        raise


def _saved(recorder: Recorder, progress: Progress, check: Callable[[], None]) -> str:
    """The sentence on what is on the disk."""
    if progress.step > recorder.saved_step:
        try:
            check()
            recorder.save(progress)
        except Exception as error:  # the first error is told; this one belongs to it
            return f"what followed step {recorder.saved_step} could not be saved ({error})"
    return f"saved after step {progress.step}, go on with --resume"
