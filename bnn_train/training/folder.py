"""The run folder: config.yaml, manifest.json, metrics.jsonl, checkpoints/, report.json, report.md."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from bnn_train.errors import CheckpointError, RunError
from bnn_train.report.files import write_atomic

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class RunFolder:
    """A folder that this process alone may write while it is entered; ``lock`` holds that claim."""

    path: Path
    lock: int

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints live."""
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
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.lock)


def _claim(path: Path) -> RunFolder:
    try:
        (path / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        lock = os.open(path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written: {error.strerror}; choose another folder with --set run.dir=FOLDER"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise RunError(
            f"{path}: another bnn-train is writing this run; wait for it or use another run.dir"
        ) from None
    return RunFolder(path, lock)


def create(path: Path, *, overwrite: bool) -> RunFolder:
    """A fresh run folder. An earlier run there is refused, or discarded if ``overwrite``."""
    used = path.is_dir() and any(entry.name != ".lock" for entry in path.iterdir())
    if used and not overwrite:
        raise RunError(
            f"{path}: holds an earlier run; go on with it by --resume, choose another folder by"
            " --set run.dir=FOLDER, or discard it by --set run.overwrite=true"
        )
    if used and not (path / CHECKPOINTS).is_dir():
        raise RunError(
            f"{path}: is not a run folder, so it is not overwritten; choose another by --set run.dir=FOLDER"
        )
    folder = _claim(path)
    for entry in path.iterdir():
        if entry.name == ".lock":
            continue
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    folder.checkpoints.mkdir()
    return folder


def reopen(path: Path) -> RunFolder:
    """The folder of a run to go on with, without what a killed process left half-written."""
    if not (path / CHECKPOINTS).is_dir():
        raise CheckpointError(f"{path}: no run to resume here: {path / CHECKPOINTS} does not exist")
    folder = _claim(path)
    for stale in [*path.glob(".*.tmp"), *folder.checkpoints.glob(".*.tmp")]:
        stale.unlink(missing_ok=True)
    return folder


def latest(root: Path) -> Path:
    """The run under ``root`` whose checkpoints changed last."""
    runs = [path for path in root.glob(f"**/{CHECKPOINTS}") if path.is_dir()]
    if not runs:
        raise CheckpointError(f"{root}: no run to resume under this folder")
    return max(runs, key=lambda path: path.stat().st_mtime_ns).parent
