"""The compiled kernels for tests: those in place, or fresh ones in a folder that goes away afterwards."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from bnn_train.errors import BnnError
from bnn_train.packed import build, native_library


@cache
def _folder() -> Path:
    """The library's path. Skips without a compiler."""
    if (native_library.FOLDER / native_library.FILE).exists():
        return native_library.FOLDER
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    try:
        build.compiler()
    except BnnError as error:
        pytest.skip(str(error))
    build.compile_library(Path(folder.name) / native_library.FILE)
    return Path(folder.name)


@pytest.fixture(scope="module")
def kernels() -> Iterator[tuple[str, ...]]:
    """The names of the kernels that this machine can run; ``native`` finds the library meanwhile."""
    patch = pytest.MonkeyPatch()
    patch.setattr(native_library, "FOLDER", _folder())
    native_library.library.cache_clear()
    yield native_library.library().isas()
    patch.undo()
    native_library.library.cache_clear()
