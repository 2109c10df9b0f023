"""The file that a path names: itself, or the best checkpoint of a run folder. No torch."""

from __future__ import annotations

from pathlib import Path

from bnn_train.config.local import is_utf8
from bnn_train.errors import CheckpointError
from bnn_train.packed.recognise import is_packed

__all__ = ["find", "is_packed"]


def find(path: Path) -> Path:
    """The path itself, or the chosen checkpoint of a run folder."""
    if not path.exists():
        raise CheckpointError(f"{path}: no such run or checkpoint")
    if not is_utf8(path) and not is_packed(path):
        raise CheckpointError(
            f"{path}: its name is not UTF-8, and no checkpoint can be read under it; rename it"
        )
    if not path.is_dir():
        _refuse_others(path)
        return path
    best = path / "checkpoints" / "best.safetensors"
    if not best.is_file():
        raise CheckpointError(f"{path}: no finished epoch to evaluate: {best} does not exist")
    return best


def _refuse_others(path: Path) -> None:
    """Raises CheckpointError for what is plainly something else, with where that belongs."""
    if not path.is_file():
        raise CheckpointError(f"{path}: is no regular file; name a run folder or a checkpoint")
    if path.suffix.lower() in (".yaml", ".yml"):
        raise CheckpointError(
            f"{path}: is a config, not a checkpoint; bnn-train --config {path} trains it, and then its run"
            " folder is what to name here"
        )
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] != b"{" and start.startswith((b"PK\x03\x04", b"\x80")):
        raise CheckpointError(
            f"{path}: not a bnn_train checkpoint but a pickle, which can run code and is never read; name a"
            " run folder, or a file of its checkpoints/"
        )
