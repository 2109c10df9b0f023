"""Compiles the kernels in place: ``python -m bnn_train.packed.build``. ``CXX`` names another compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from bnn_train.errors import BnnError
from bnn_train.packed.native_library import FILE, FOLDER

SOURCES = FOLDER / "csrc"
FLAGS = ("-std=c++17", "-O3", "-g0", "-fopenmp", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off")
"""No -march: every file names the processor that it is for."""


def compiler() -> str:
    """The C++ compiler. Raises BnnError if there is none."""
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        if name and shutil.which(name):
            return name
    raise BnnError("no C++ compiler: install g++, or name one with CXX=…")


def compile_library(target: Path, extra: tuple[str, ...] = (), cxx: str | None = None) -> None:
    """Write the library to ``target``. ``extra``: more flags; ``cxx``: another compiler, as for another
    processor. Raises BnnError with the compiler's words."""
    command = [cxx or compiler(), *FLAGS, *extra]
    with TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        sources = sorted(SOURCES.glob("*.cpp"))
        objects = list(pool.map(lambda source: _object(source, Path(folder), command), sources))
        fresh = Path(folder) / target.name
        _run([*command, "-shared", "-o", str(fresh), *map(str, objects)])
        shutil.copy(fresh, target.with_suffix(".new"))
    target.with_suffix(".new").replace(target)  # a process may have the old one open


def _object(source: Path, folder: Path, command: list[str]) -> Path:
    to = folder / f"{source.stem}.o"
    _run([*command, "-c", str(source), "-o", str(to)])
    return to


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # a list, no shell
    if done.returncode:
        raise BnnError(f"{command[0]} failed: {done.stderr.decode('utf-8', 'replace').strip()[:2000]}")


def main() -> int:
    """Exit code 0, or 2 and a sentence."""
    try:
        compile_library(FOLDER / FILE)
    except BnnError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(f"built {FILE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
