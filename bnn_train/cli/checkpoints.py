"""Which file a command's ``--checkpoint`` means."""

from __future__ import annotations

from pathlib import Path

from bnn_train.errors import CheckpointError
from bnn_train.packed.recognise import is_packed

__all__ = ["find", "is_packed"]


def find(path: Path) -> Path:
    """The path itself, or the chosen checkpoint of a run folder."""
    if not path.exists():
        raise CheckpointError(f"{path}: no such run or checkpoint")
    if not path.is_dir():
        return path
    best = path / "checkpoints" / "best.safetensors"
    if not best.is_file():
        raise CheckpointError(f"{path}: no finished epoch to evaluate: {best} does not exist")
    return best
