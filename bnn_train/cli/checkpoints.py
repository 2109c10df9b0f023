"""Which file a command's ``--checkpoint`` means."""

from __future__ import annotations

from pathlib import Path

from bnn_train.errors import CheckpointError
from bnn_train.packed import container

_HEADER = 2**20
"""Bytes among which a packed file names its format."""


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


def is_packed(path: Path) -> bool:
    """Whether a file is a packed network, by what stands in its header, be it damaged or not."""
    try:
        with path.open("rb") as file:
            return f'"{container.FORMAT}"'.encode() in file.read(_HEADER)
    except OSError:
        return False
