"""The file behind a command's ``--checkpoint``."""

from __future__ import annotations

from pathlib import Path

from bnn_train.errors import CheckpointError
from bnn_train.export.targets.table import DEFAULT, recognised
from bnn_train.inspect import checkpoints
from bnn_train.inspect.checkpoints import is_packed

__all__ = ["find", "find_own", "is_packed"]


def find(path: Path) -> Path:
    """The path itself, if it is a file or a written format, or the chosen checkpoint of a run folder."""
    return path if path.exists() and recognised(path) is not None else checkpoints.find(path)


def find_own(path: Path) -> Path:
    """As ``find``, where a checkpoint or a packed file is wanted and no other format will do."""
    target = recognised(path) if path.exists() else None
    if target is not None and target is not DEFAULT:
        raise CheckpointError(
            f"{path}: is a network in the format {target.name}, which bnn-eval runs; name the run, the"
            " checkpoint or the packed file that it was made from"
        )
    return checkpoints.find(path)
