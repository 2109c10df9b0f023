"""A written folder, compiled by this machine's C compiler and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import DataError, ExportError
from bnn_train.export.targets.c.folder import FORMAT, NETWORK
from bnn_train.export.targets.target import Opened
from bnn_train.packed.container import parse_header
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import Header

_FLAGS = ("-std=c99", "-O2", "-ffp-contract=off")
_LARGEST = 2**21
"""Bytes of a header that is read."""


def recognises(path: Path) -> bool:
    """Whether a folder holds what the export writes."""
    try:
        with (path / NETWORK).open("rb") as file:
            return f'"format":"{FORMAT}"'.encode() in file.read(64)
    except OSError:
        return False


def opened(path: Path) -> Opened:
    """Compiles the folder's sources in a temporary place; they are trusted as any program is that one builds."""
    header, prefix = _network(path)
    compiler = _compiler()
    place = tempfile.TemporaryDirectory(prefix="bnn-c-")
    program = Path(place.name) / "run"
    sources = [str(path / "run.c"), str(path / f"{prefix}.c")]
    built = _run([*compiler, *_FLAGS, f"-I{path}", *sources, "-o", str(program)])
    if built.returncode:
        first = built.stderr.decode(errors="replace").strip().splitlines()[:1]
        raise DataError(f"{path}: {compiler[0]} does not compile it: {''.join(first) or 'it says nothing'}")
    classes, pixels = len(header.classes), header.images
    size = pixels.height * pixels.width * pixels.channels

    def logits(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 N×H×W×C → float32 N×classes."""
        if images[0].size != size:
            raise DataError(f"images have {images[0].size} bytes; {path.name} takes {size}")
        found = _run([os.path.join(place.name, "run"), "--raw"], np.ascontiguousarray(images).tobytes())
        if found.returncode or len(found.stdout) != _width(header, path, prefix) * len(images):
            raise DataError(f"{path}: its program ended with {found.returncode} after {len(found.stdout)} bytes")
        return _read(found.stdout, classes)

    return Opened(header, f"C99, {_version(compiler)}", logits)


def _read(raw: bytes, classes: int) -> NDArray[np.float32]:
    return np.frombuffer(raw, np.float32).reshape(-1, classes).copy()


def _network(path: Path) -> tuple[Header, str]:
    try:
        with (path / NETWORK).open("rb") as file:
            found: Any = json.loads(file.read(_LARGEST))
        prefix = str(found["prefix"])
        if found["format"] != FORMAT or not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", prefix):
            raise KeyError("format")
        return parse_header(json.dumps(found["header"])), prefix
    except OSError as error:
        raise DataError(f"{path}: {NETWORK} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, PackedFileError) as error:
        raise DataError(f"{path}: {NETWORK} was not written by bnn-export --format c: {error}") from None


def _compiler() -> list[str]:
    for name in (os.environ.get("CC", "").split(), ["cc"], ["gcc"], ["clang"]):
        if name and shutil.which(name[0]):
            return name
    raise ExportError("there is no C compiler (cc, gcc, clang, or $CC) to run the exported C; install one")


def _version(compiler: list[str]) -> str:
    told = _run([*compiler, "--version"]).stdout.decode(errors="replace").splitlines()
    return told[0].strip() if told else compiler[0]


def _run(command: list[str], given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=given, capture_output=True, check=False)  # noqa: S603  # a compiler
