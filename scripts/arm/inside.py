"""Runs in the other processor's Python: the grid against numpy there, and networks' logits.

    python -m arm.inside LIBRARY EVERY TASK.npz ANSWER.npz

``TASK.npz`` holds images by the path of a network; ``ANSWER.npz`` gets logits by kernel and path. Every
EVERYth program of the grid runs on every kernel; prints a line of JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from bnn_train.cli import terminal
from bnn_train.packed import load, native, native_library
from bounds import on_a_grid
from packed_grid import grid
from packed_programs import random_input
from unit.test_native_grid import IMAGES, check_from, order_free, values_of


def run_grid(kernels: tuple[str, ...], every: int) -> tuple[int, list[str]]:
    """How many programs ran, and those that differ, kernel and name."""
    count, different = 0, []
    for name, made in list(grid())[::every]:
        x = random_input(made.program, IMAGES, seed=3)
        if not made.exact:
            made, x = order_free(made), on_a_grid(x)
        values = values_of(made, x)
        for kernel in kernels:
            count += 1
            try:
                check_from(made, kernel, values)
            except AssertionError as error:
                different.append(f"DIFFERENT {name} on {kernel}: {error}".splitlines()[0])
    return count, different


def main() -> int:
    """Exit code 0 if it came to its end."""
    terminal.prepare()
    library, every, task, answer = sys.argv[1:]
    native_library.FOLDER, native_library.FILE = Path(library).parent, Path(library).name
    kernels = native.available()
    count, different = run_grid(kernels, int(every))
    with np.load(task) as images:
        logits = {f"{k} {path}": load(path, isa=k)(images[path]) for path in images.files for k in kernels}
    np.savez(answer, **logits)  # type: ignore[arg-type]  # its other keyword is a flag
    print(json.dumps({"kernels": kernels, "programs": count, "different": different}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
