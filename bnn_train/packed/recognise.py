"""Recognition of a packed file by its header alone."""

from __future__ import annotations

from pathlib import Path

from bnn_train.packed import container

_HEADER = 2**20
"""Bytes among which a packed file names its format."""


def is_packed(path: Path) -> bool:
    """Whether a file is a packed network, by what stands in its header, be it damaged or not."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return f'"{container.FORMAT}"'.encode() in file.read(_HEADER)
    except OSError:
        return False
