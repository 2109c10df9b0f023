"""Tries the kernels on other processors, by cross compilers and QEMU's user emulators.

    python scripts/arm_check.py [--fetch] [--folder FOLDER] [--machines aarch64,arm,riscv64] [--every 1]

The grid of packed programs runs without Python on 64-bit Arm (NEON with and without the dot product of bytes;
portable), 32-bit Arm and RISC-V (portable) and must give what the numpy reference gives here; training's
gradients and passes must give what plain loops give. On 64-bit Arm the grid then runs in that processor's own
Python against numpy there, and the repository's packed networks must give the logits that they give here.
Python for it, 35 MB, is what --fetch downloads into FOLDER (apt-get and pip, on Debian 12). The last line
counts. The exit code is 1 if anything differs, and 2 with a sentence where something is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from arm import networks, programs, python
from arm.machines import MACHINES, Answer, Machine, missing, run_gradients, run_grid
from bnn_train.cli import terminal
from bnn_train.errors import BnnError

FOLDER = Path("~/.cache/bnn_train/arm")
PROCESSORS = tuple(dict.fromkeys(machine.name.split()[0] for machine in MACHINES))
WITH_PYTHON = MACHINES[1]
COMPILERS = " ".join(f"g++-{target}" for target in dict.fromkeys(machine.target for machine in MACHINES))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__ or "", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of downloads and builds")
    parser.add_argument("--fetch", action="store_true", help="download what is missing there")
    parser.add_argument("--machines", default=",".join(PROCESSORS), help="names with commas between")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth program in Python")
    args = parser.parse_args(argv)
    unknown = set(args.machines.split(",")) - set(PROCESSORS)
    if unknown:
        parser.error(f"--machines: {', '.join(sorted(unknown))}; there are {', '.join(PROCESSORS)}")
    if args.every < 1:
        parser.error(f"--every: {args.every}; 1 is every program")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, 1 if anything differs, or 2 and a sentence."""
    terminal.prepare()
    args = arguments(argv)
    machines = [m for m in MACHINES if m.name.split()[0] in args.machines.split(",")]
    try:
        return check(machines, args.folder.expanduser().absolute(), args.fetch, args.every)
    except BnnError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


def check(machines: Sequence[Machine], folder: Path, fetch: bool, every: int) -> int:
    """Exit code 0, or 1 if anything differs. Raises BnnError."""
    in_python = WITH_PYTHON in machines
    demand(machines, folder, in_python, fetch)
    build = folder / "build"
    build.mkdir(parents=True, exist_ok=True)
    count = programs.write(build / "programs", programs.cases())
    found = [tell(machine.name, run_grid(machine, build / "programs", build)) for machine in machines]
    trained = [tell(f"{m.name}, training", run_gradients(m, build)) for m in machines]
    found += trained
    line = f"{count} programs and {trained[0].programs} of training on {len(machines)} machines"
    different = [text for answer in found for text in answer.different]
    if in_python:
        grid, logits = networks.compare(WITH_PYTHON, folder, every)
        tell("aarch64 in Python", grid._replace(different=grid.different + logits.different))
        different += grid.different + logits.different
        line += f", {grid.programs} in Python, {logits.compared} networks' logits"
        line += f" ({logits.equal} of them bit for bit)"
    print(f"{line}: {len(different)} different")
    return 1 if different else 0


def demand(machines: Sequence[Machine], folder: Path, in_python: bool, fetch: bool) -> None:
    """Raises BnnError with what is missing."""
    tools = missing(machines)
    if tools:
        install = f"apt-get install qemu-user-static {COMPILERS}"
        raise BnnError(f"no {', '.join(tools)} here; on Debian, {install}")
    if in_python and python.missing(folder):
        if fetch:
            python.fetch(folder)
        names = python.missing(folder)
        if names:
            raise BnnError(f"{folder} lacks Python for 64-bit Arm ({', '.join(names)}); --fetch downloads it")


def tell(name: str, answer: Answer) -> Answer:
    """Print a machine's line and what differs there."""
    print(f"{name}: {answer.programs} programs, {len(answer.different)} different", flush=True)
    for line in answer.different[:20]:
        print(f"  {line}")
    return answer


if __name__ == "__main__":
    sys.exit(main())
