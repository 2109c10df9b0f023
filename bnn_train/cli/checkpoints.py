"""The file behind a command's ``--checkpoint``."""

from __future__ import annotations

from pathlib import Path

from bnn_train.export.targets.table import recognised
from bnn_train.inspect import checkpoints
from bnn_train.inspect.checkpoints import is_packed

__all__ = ["find", "is_packed"]


def find(path: Path) -> Path:
    """The path itself, if it is a file or a written format, or the chosen checkpoint of a run folder."""
    return path if path.exists() and recognised(path) is not None else checkpoints.find(path)
