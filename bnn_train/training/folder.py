"""The run folder: whose it is, and how a run begins in it or goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from bnn_train.config.schema import Experiment
from bnn_train.errors import CheckpointError, RunError
from bnn_train.files import expanded, write_atomic
from bnn_train.training.contents import CHECKPOINTS, LOCK, Contents, is_run, survey

OTHER_FOLDER = "choose another folder by --set run.dir=FOLDER"
Warn = Callable[[str], None]


@dataclass(frozen=True)
class RunFolder:
    """A folder that this process alone may write while it is entered; ``lock`` holds that claim.

    Without a lock it is that of another process, which writes it, and here it may not even be there.
    """

    path: Path
    lock: FileLock | None = None

    @property
    def is_ours(self) -> bool:
        """Whether this process writes it."""
        return self.lock is not None

    @property
    def checkpoints(self) -> Path:
        """The folder of its checkpoints."""
        return self.path / CHECKPOINTS

    def write_text(self, name: str, text: str) -> None:
        """Write a file whole or not at all."""
        write_atomic(self.path / name, text)

    def write_json(self, name: str, value: Any) -> None:
        """Write a mapping as indented JSON."""
        self.write_text(name, json.dumps(value, indent=2) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """A mapping that was written here; empty if there is none or it is damaged."""
        try:
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.lock is not None:
            self.lock.release()


def run_path(experiment: Experiment) -> Path:
    """The run folder of an experiment."""
    return expanded(experiment.run.dir or "runs/unnamed")


def create(path: Path, *, overwrite: bool, warn: Warn = lambda sentence: None) -> RunFolder:
    """A fresh run folder. An earlier run there is refused, or discarded if ``overwrite``; one that ended
    before its first checkpoint is begun again.

    Only what a run wrote is ever removed. Anything else there is a refusal, before anything is touched.
    """
    refuse_others(path, overwrite)
    with ExitStack() as stack:
        folder = stack.enter_context(_claim(path))
        contents = refuse_others(path, overwrite)  # what lies there while nobody else may write
        for packed in contents.packed:
            warn(f"{packed}: a packed network from before this run; it stays")
        _discard(contents)
        stack.pop_all()
    return folder


def is_unbegun(path: Path) -> bool:
    """Whether a run may begin in this folder without overwriting anything."""
    contents = survey(path)
    return not (contents.foreign or contents.checkpoints or contents.reports)


def reopen(path: Path) -> RunFolder:
    """The folder of a run to go on with, without what a killed process left half-written."""
    if not is_run(path):
        lacks = "holds no usable checkpoint" if (path / CHECKPOINTS).is_dir() else "does not exist"
        raise CheckpointError(f"{path}: no run to resume here: {path / CHECKPOINTS} {lacks}")
    with ExitStack() as stack:
        folder = stack.enter_context(_claim(path))
        for stale in survey(path).temporary:
            stale.unlink(missing_ok=True)
        stack.pop_all()
    return folder


def clear(folder: RunFolder) -> None:
    """Remove what an earlier start left that ended before its first checkpoint; all else stays."""
    contents = survey(folder.path)
    if contents.reports:
        raise CheckpointError(
            f"{folder.path}: holds a report, but the checkpoints of that run are gone, so it cannot go on;"
            " put them back, or choose another run"
        )
    _discard(contents)


def latest(root: Path) -> Path:
    """The run under ``root`` whose checkpoints changed last."""
    runs = [path for path in root.glob(f"**/{CHECKPOINTS}") if path.is_dir() and is_run(path.parent)]
    if not runs:
        raise CheckpointError(f"{root}: no run to resume under this folder")
    return max(runs, key=lambda path: path.stat().st_mtime_ns).parent


def refuse_others(path: Path, overwrite: bool) -> Contents:
    """The contents of a folder where a run is to begin. Raises RunError where they must stay."""
    contents = survey(path)
    if contents.checkpoints and not overwrite:
        raise RunError(
            f"{path}: holds an earlier run; go on with it by --resume, {OTHER_FOLDER},"
            " or discard it by --set run.overwrite=true"
        )
    if contents.foreign:
        shown = "; ".join(contents.foreign[:3])
        more = f" and {len(contents.foreign) - 3} more" if len(contents.foreign) > 3 else ""
        raise RunError(
            f"{path}: not a run folder alone: it holds what is not a run's to remove ({shown}{more}), so"
            f" nothing in it was touched; move that elsewhere, or {OTHER_FOLDER}"
        )
    if contents.reports and not overwrite:
        raise RunError(
            f"{path}: holds an earlier run's report, but no checkpoint of it; {OTHER_FOLDER},"
            " or discard it by --set run.overwrite=true"
        )
    return contents


def _claim(path: Path) -> RunFolder:
    checkpoints = path / CHECKPOINTS
    broken = next((p for p in (checkpoints, *checkpoints.parents) if p.is_symlink() and not p.exists()), None)
    if broken is not None:
        raise RunError(
            f"{path}: {broken} is a link to {os.readlink(broken)}, which is not there; {OTHER_FOLDER}"
        )
    lock = FileLock(path / LOCK, timeout=0, thread_local=False)
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise RunError(
            f"{path}: another bnn-train is writing this run; wait for it or use another run.dir"
        ) from None
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}; {OTHER_FOLDER}") from None
    return RunFolder(path, lock)


def _discard(contents: Contents) -> None:
    for path in contents.own:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"{path}: cannot be removed: {error.strerror}; {OTHER_FOLDER}") from None
    for folder in contents.folders:
        if folder.name != CHECKPOINTS:
            with suppress(OSError):
                folder.rmdir()
