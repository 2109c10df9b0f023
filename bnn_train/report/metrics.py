"""The course of a run: one JSON object a line in metrics.jsonl, and TensorBoard's events."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnn_train.errors import RunError
from bnn_train.files import write_atomic
from bnn_train.report.files import plain
from bnn_train.report.trackers import Tracker

if TYPE_CHECKING:
    from torch import Tensor

    from bnn_train.report.mistakes import Picture

METRICS = "metrics.jsonl"
EVENTS = "tensorboard"
_log = logging.getLogger(__name__)


class MetricsLog:
    """Writes both. A full disk or a broken TensorBoard is told once and never stops a training."""

    def __init__(
        self,
        folder: Path,
        *,
        tensorboard: bool,
        resume_step: int | None,
        trackers: Mapping[str, Callable[[], Tracker]] | None = None,
    ) -> None:
        """``resume_step``: the step to go on from; what was logged after it did not happen. ``trackers``:
        what opens each, by name."""
        self._path = folder / METRICS
        self._warned: set[str] = set()
        self._torn = False
        self._board: Any = None
        if resume_step is not None:
            self._guard(str(self._path), lambda: _forget_after(self._path, resume_step))
        if tensorboard:
            self._guard("TensorBoard", lambda: self._open_board(folder / EVENTS, resume_step))
        self._trackers: dict[str, Tracker] = {}
        for name, opens in (trackers or {}).items():
            self._guard(name, partial(self._open_tracker, name, opens))

    def write(self, event: str, step: int, epoch: int, **values: Any) -> None:
        """Append ``{"event", "step", "epoch", **values}``; numbers become scalars ``event/name``.

        A value ``{layer: {statistic: number}}`` becomes scalars ``statistic/layer``.
        """
        values = plain(values)
        line = json.dumps({"event": event, "step": step, "epoch": epoch, **values}, allow_nan=False)
        self._guard(str(self._path), lambda: self._append(line))
        if self._board is not None:
            self._guard("TensorBoard", lambda: self._scalars(event, step, values))
        numbers = dict(_tags(event, values)) if self._trackers else {}
        for name, tracker in self._trackers.items():
            self._guard(name, partial(tracker.log, event, step, epoch, numbers))

    def histogram(self, name: str, tensor: Tensor, step: int) -> None:
        """The distribution of ``tensor``'s values, for TensorBoard alone."""
        if self._board is not None:
            values = tensor.detach().float().cpu().numpy()
            self._guard("TensorBoard", lambda: self._board.add_histogram(name, values, step))

    def image(self, name: str, picture: Picture, step: int) -> None:
        """A picture, H×W×3, for TensorBoard alone."""
        if self._board is not None:
            self._guard("TensorBoard", lambda: self._board.add_image(name, picture, step, dataformats="HWC"))

    @property
    def shows_images(self) -> bool:
        """Whether anybody looks at ``image``, so that one is worth making."""
        return self._board is not None

    def close(self) -> None:
        """Flush what TensorBoard and trackers still hold."""
        for name, tracker in self._trackers.items():
            self._guard(name, tracker.close)
        if self._board is not None:
            self._guard("TensorBoard", self._board.close)

    def _append(self, line: str) -> None:
        start, self._torn = ("\n" if self._torn else ""), True
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{start}{line}\n")
        self._torn = False

    def _open_tracker(self, name: str, opens: Callable[[], Tracker]) -> None:
        self._trackers[name] = opens()

    def _open_board(self, folder: Path, resume_step: int | None) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second, and not every run wants it

        purge = None if resume_step is None else resume_step + 1
        self._board = SummaryWriter(str(folder), purge_step=purge)

    def _scalars(self, event: str, step: int, values: Mapping[str, Any]) -> None:
        for tag, number in _tags(event, values):
            self._board.add_scalar(tag, number, step)

    def _guard(self, what: str, write: Callable[[], None]) -> None:
        """TensorBoard's writer thread hands on whatever it met, hence every Exception."""
        try:
            write()
        except Exception as error:
            if what not in self._warned:
                self._warned.add(what)
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                _log.warning("warning: %s: some metrics are lost: %s; the training goes on", what, reason)


class NoLog(MetricsLog):
    """Writes nothing: another process does."""

    def __init__(self) -> None:
        self._board, self._trackers = None, {}

    def write(self, event: str, step: int, epoch: int, **values: Any) -> None:
        """Nothing."""


def _tags(event: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if isinstance(value, int | float):
            yield f"{event}/{key}", value
        elif isinstance(value, Mapping):
            for layer, statistics in value.items():
                if isinstance(statistics, Mapping):
                    yield from ((f"{name}/{layer}", n) for name, n in statistics.items() if n is not None)


def _forget_after(path: Path, step: int) -> None:
    """Drop the lines of later steps, the test result, which is written anew, and a line cut short."""
    if path.exists():
        kept = [e for e in read_metrics(path) if e["step"] <= step and e.get("event") != "test"]
        write_atomic(path, "".join(f"{json.dumps(entry)}\n" for entry in kept))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The entries of a metrics.jsonl in order; lines that a kill or a full disk cut short are left out.

    Raises RunError if the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    return [entry for entry in map(_entry, lines) if entry is not None]


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(entry, dict) and isinstance(entry.get("step"), int)
    return entry if whole else None
