"""Files written whole or not at all, and numbers that JSON can hold."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bnn_train.errors import RunError


def write_atomic(path: Path, text: str) -> None:
    """Replace ``path`` by a file with ``text``: temporary sibling, fsync, rename, fsync of the folder.

    Raises RunError where the folder cannot be written; the former file is then still whole.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot be written: {error.strerror}") from error


def sync(path: Path) -> None:
    """Put a file or folder on the disk; a rename survives a power cut only once its folder is there too."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def plain(value: Any) -> Any:
    """``value`` as JSON has it: NaN and ±∞ become null, 0-d tensors numbers, tuples lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return plain(value.item())
