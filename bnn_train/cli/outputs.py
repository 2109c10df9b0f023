"""Files that a command is asked to write: looked at before the work, so that nothing is computed in vain."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bnn_train.errors import BnnError

Named = Mapping[str, Path | None]
"""Paths by the option that names them; None where the option was left out."""


def check(outputs: Named, inputs: Named) -> None:
    """Raises BnnError in one sentence for an output that could not be written, or would destroy an input or
    another output."""
    for option, path in outputs.items():
        if path is not None:
            _check_place(path)
            _check_alone(option, path, {**outputs, **inputs})


def _check_place(path: Path) -> None:
    folder = path.absolute().parent
    try:
        there, place = path.exists(), folder.is_dir()
    except OSError as error:
        raise BnnError(f"{path}: cannot be written: {error.strerror}") from None
    if not place:
        raise BnnError(f"{path}: cannot be written: the folder {folder} does not exist; make it first")
    if path.is_dir():
        raise BnnError(f"{path}: cannot be written: it is a folder; name a file in it")
    stream = there and not path.is_file()  # a pipe or a device, such as /dev/stdout
    if not os.access(path if stream else folder, os.W_OK):
        raise BnnError(f"{path}: cannot be written: {'it' if stream else folder} is write-protected")


def _check_alone(option: str, path: Path, named: Named) -> None:
    for other, taken in named.items():
        if other != option and taken is not None and _same(path, taken):
            raise BnnError(f"{path}: {option} and {other} name the same file; choose another for {option}")


def _same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.is_file() and path.samefile(other)
    return path.resolve() == other.resolve()
