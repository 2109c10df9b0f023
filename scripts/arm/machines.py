"""The processors that the kernels are tried on, and the tools that stand in for them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bnn_train.errors import BnnError
from bnn_train.packed import build
from bnn_train.packed.native_abi import ISAS
from fuzz.libraries import digest

DRIVERS = Path(__file__).resolve().parents[2] / "tests" / "native"
PROGRAMS, GRADIENTS = "run_programs", "run_gradients"
ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}
"""Threads that spin while they wait take the emulator's time from each other."""


class Machine(NamedTuple):
    """A processor by the names that GNU's compilers and QEMU give it, and the kernel that it runs."""

    name: str
    target: str
    emulator: str
    cpu: str
    kernel: str


MACHINES = (
    Machine("aarch64 neon", "aarch64-linux-gnu", "qemu-aarch64", "cortex-a53", "neon"),
    Machine("aarch64 neon with sdot", "aarch64-linux-gnu", "qemu-aarch64", "max", "neon"),
    Machine("aarch64 portable", "aarch64-linux-gnu", "qemu-aarch64", "cortex-a53", "portable"),
    Machine("arm portable", "arm-linux-gnueabihf", "qemu-arm", "cortex-a7", "portable"),
    Machine("riscv64 portable", "riscv64-linux-gnu", "qemu-riscv64", "rv64", "portable"),
)


class Answer(NamedTuple):
    """How many programs ran, and a line for each that differs."""

    programs: int
    different: list[str]


def emulator(name: str) -> str | None:
    """The path of an emulator, whose static build has another name."""
    return shutil.which(name) or shutil.which(f"{name}-static")


def missing(machines: Sequence[Machine] = MACHINES) -> list[str]:
    """The tools that these machines need and that are not here."""
    compilers = {f"{m.target}-g++" for m in machines}
    emulators = {m.emulator for m in machines}
    return sorted({c for c in compilers if not shutil.which(c)} | {e for e in emulators if not emulator(e)})


def command(machine: Machine, root: Path, words: Sequence[str]) -> list[str]:
    """A command line under the machine's emulator. ``root``: the folder with the machine's own ``lib``."""
    found = emulator(machine.emulator)
    if found is None:
        raise BnnError(f"no {machine.emulator} here: install QEMU's user emulators")
    return [found, "-cpu", machine.cpu, "-L", str(root), *words]


def library(machine: Machine, folder: Path) -> Path:
    """The kernels for a machine, compiled unless ``folder`` has those of the same sources.
    Raises BnnError with the compiler's words."""
    found = folder / f"kernels-{machine.target}-{digest(())[:16]}.so"
    if not found.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for older in folder.glob(f"kernels-{machine.target}-*.so"):
            older.unlink()
        build.compile_library(found, cxx=f"{machine.target}-g++")
    return found


def driver(cxx: str, kernels: Path, target: Path, name: str = PROGRAMS) -> Path:
    """The program ``name``, which runs a file of programs, or gradients, on compiled kernels. Raises
    BnnError."""
    flags = ("-std=c++17", "-O1", f"-I{build.SOURCES}", f"-Wl,-rpath,{kernels.parent}")
    done = _run([cxx, *flags, str(DRIVERS / f"{name}.cpp"), str(kernels), "-o", str(target)])
    if done.returncode:
        raise BnnError(f"{cxx} failed: {done.stderr.strip()[:2000]}")
    return target


def run_grid(machine: Machine, programs: Path, folder: Path) -> Answer:
    """The file of programs on the machine's kernel, without Python. Raises BnnError where it cannot run."""
    return _answer_on(machine, folder, PROGRAMS, [str(programs)])


def run_gradients(machine: Machine, folder: Path) -> Answer:
    """The gradients of products of signs on the machine's kernel. Raises BnnError where it cannot run."""
    return _answer_on(machine, folder, GRADIENTS, [])


def _answer_on(machine: Machine, folder: Path, name: str, words: Sequence[str]) -> Answer:
    compiler = f"{machine.target}-g++"
    program = driver(compiler, library(machine, folder), folder / f"{name}-{machine.target}", name)
    place = _run([compiler, "-print-file-name=libc.so.6"]).stdout.strip()
    root = Path(place).resolve().parents[1]
    return answer(command(machine, root, [str(program), *words, str(ISAS.index(machine.kernel))]))


def answer(words: Sequence[str]) -> Answer:
    """The driver's count and differences. Raises BnnError if it did not come to its end."""
    done = _run(words)
    *lines, last = done.stdout.strip().splitlines() or [""]
    if done.returncode not in (0, 1) or " programs, " not in last:
        said = f"{last} {done.stderr.strip()[-500:]}"
        raise BnnError(f"{_program(words)} broke off ({done.returncode}): {said}")
    return Answer(int(last.split()[0]), [line for line in lines if line.startswith("DIFFERENT ")])


def _program(words: Sequence[str]) -> str:
    """The driver's name among the words of a command line."""
    return next(
        (Path(word).name for word in words if Path(word).name.startswith((PROGRAMS, GRADIENTS))), words[0]
    )


def _run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words,
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise BnnError(f"{words[0]} cannot run: {error.strerror}") from error
