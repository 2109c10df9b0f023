"""A written folder, compiled by this machine's C compiler and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import DataError, ExportError
from bnn_train.export.targets.c.folder import FORMAT, NETWORK
from bnn_train.export.targets.target import Opened
from bnn_train.packed import strict_json
from bnn_train.packed.container import parse_header
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import Header

_FLAGS = ("-std=c99", "-O2", "-ffp-contract=off")
_LARGEST = 2**21
"""Bytes of a header that is read."""


class Program:
    """A folder's network as a program in a temporary place, which goes with this object."""

    def __init__(
        self, path: Path, header: Header, prefix: str, has_logits: bool, compiler: list[str]
    ) -> None:
        self.path, self.images, self.classes = path, header.images, len(header.classes)
        self.has_logits = has_logits
        folder = tempfile.TemporaryDirectory(prefix="bnn-c-", ignore_cleanup_errors=True)
        place = folder.name
        weakref.finalize(self, folder.cleanup)
        self.program = str(Path(place) / "run")
        sources = [str(path / "run.c"), str(path / f"{prefix}.c")]
        built = _run([*compiler, *_FLAGS, f"-I{path}", *sources, "-o", self.program])
        if built.returncode:
            first = built.stderr.decode(errors="replace").strip().splitlines()[:1]
            told = "".join(first) or "it says nothing"
            raise DataError(f"{path}: {compiler[0]} does not compile it: {told}")

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 N×H×W×C → float32 N×classes; of answers alone, 1 for the answer and 0 elsewhere."""
        shape = (self.images.height, self.images.width, self.images.channels)
        if images.shape[1:] != shape:
            found, wanted = ("×".join(map(str, some)) for some in (images.shape[1:], shape))
            raise DataError(f"images of {found}; {self.path.name} takes {wanted}")
        ran = _run([self.program, "--raw"], np.ascontiguousarray(images).tobytes())
        if ran.returncode or len(ran.stdout) != 4 * len(images) * (self.classes if self.has_logits else 1):
            raise DataError(
                f"{self.path}: its program ended with {ran.returncode} after {len(ran.stdout)} bytes"
            )
        if not self.has_logits:
            return np.eye(self.classes, dtype=np.float32)[np.frombuffer(ran.stdout, np.int32)]
        return np.frombuffer(ran.stdout, np.float32).reshape(-1, self.classes).copy()


def opened(path: Path) -> Opened:
    """Compiles the folder's sources in a temporary place; they are trusted, as anything that one builds."""
    header, prefix, has_logits = _network(path)
    compiler = _compiler()
    program = Program(path, header, prefix, has_logits, compiler)
    return Opened(header, f"C99, {_version(compiler)}", program)


def _network(path: Path) -> tuple[Header, str, bool]:
    """The header, the prefix of names, and whether there are logits, not the answer alone."""
    try:
        with (path / NETWORK).open("rb") as file:
            found: Any = json.loads(file.read(_LARGEST))
        prefix = str(found["prefix"])
        if found["format"] != FORMAT or not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", prefix):
            raise KeyError("format")
        return parse_header(strict_json.dump(found["header"])), prefix, bool(found["logits"])
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
