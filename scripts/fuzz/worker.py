"""A process that tries a range of programs.

    python -m fuzz.worker PROGRESS FIRST END KERNELS LIBRARY MEMORY SLOWNESS

PROGRESS holds the seed at work, so that whoever watches can name it when this process dies or hangs. After
some programs a line of JSON tells their counts, the worst of them, and the first seed that is not among them.
"""

from __future__ import annotations

import os
import resource
import sys
import traceback
from pathlib import Path

from bnn_train.packed import native_library
from fuzz.attempt import Way, timed, way_of
from fuzz.cases import generate
from fuzz.heap import Heap
from fuzz.tally import Tally

LINE = 50
"""Programs that a line counts."""


def main(arguments: list[str]) -> int:
    """Exit code 0 if the whole range was tried, whatever became of it."""
    progress, first, end, names, library, memory, slowness = arguments
    if int(memory):
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    path = Path(library)
    native_library.FOLDER, native_library.FILE = path.parent, path.name
    kernels, heap, tally = runnable(names.split(",")), Heap(), Tally(float(slowness))
    file = os.open(progress, os.O_RDWR | os.O_CREAT)
    for seed in range(int(first), int(end)):
        os.pwrite(file, b"%20d" % seed, 0)
        try_seed(seed, way_of(seed, kernels), heap, tally, Path(progress).parent)
        if (seed + 1) % LINE == 0 or seed + 1 == int(end):
            print(tally.line(seed + 1), flush=True)
            tally = Tally(float(slowness))
    return 0


def runnable(names: list[str]) -> list[str]:
    """Those of the kernels that this machine has. Raises NativeUnavailable for a library of no use."""
    native = [name for name in names if name != "reference"]
    found = native_library.library().isas() if native else ()
    return [name for name in names if name in (*found, "reference")]


def try_seed(seed: int, way: Way, heap: Heap, tally: Tally, folder: Path) -> None:
    """One program; whatever is raised is a failure."""
    case = generate(seed)
    try:
        outcome, seconds = timed(case, way, heap, folder)
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        tally.counts["failed"] += 1
        tally.fail(seed, way, f"{type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})")
    else:
        tally.add(case, way, outcome, seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
