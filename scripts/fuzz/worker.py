"""A process that tries a range of programs.

    python -m fuzz.worker PROGRESS FIRST END KERNELS LIBRARY MEMORY

PROGRESS holds the seed at work, so that whoever watches can name it when this process dies or hangs. After
some programs a line of JSON tells their counts, the worst of them, and the first seed that is not among them.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from bnn_train.packed import native_library
from fuzz.attempt import Heap, Outcome, timed
from fuzz.cases import Case, generate

LINE = 50
"""Programs that a line counts."""
THREADED = 50
"""One program in so many runs on three threads, and one in eight goes through a file's bytes."""
SLACK, OBJECT = 2**20, 2**12
"""Bytes of Python's own objects, which no limit counts: of a program, and of each of its values and steps."""


class Tally:
    """Counts of outcomes and the worst of them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.sentences: Counter[str] = Counter()
        self.failures: list[dict[str, Any]] = []
        self.worst: dict[str, list[float]] = {}

    def add(self, case: Case, kernel: str, outcome: Outcome, seconds: float) -> None:
        """One more program."""
        self.counts[outcome.kind] += 1
        self.counts[f"{outcome.kind} with a rule broken"] += case.broken is not None
        self.counts["compared with the reference"] += outcome.compared
        if outcome.kind in ("refused", "unbuilt", "stopped"):
            self.sentences[f"{outcome.kind}: {outcome.words}"] += 1
        if outcome.kind == "wrong":
            self.fail(case.seed, kernel, outcome.words)
        held = sum(tensor.nbytes for tensor in case.tensors.values())
        count = len(case.header.program.values) + len(case.header.program.steps)
        over = outcome.bytes + held - case.memory_limit - SLACK - OBJECT * count
        if over > 0 and outcome.kind != "refused":
            self.fail(case.seed, kernel, f"memory: {outcome.bytes} bytes, the limit is {case.memory_limit}")
        self._worst("seconds", seconds, case.seed)
        self._worst("bytes", outcome.bytes, case.seed)
        self._worst("bytes beyond the limit", outcome.bytes + held - case.memory_limit, case.seed)

    def fail(self, seed: int, kernel: str, what: str) -> None:
        """A program whose end is a fault."""
        self.failures.append({"seed": seed, "kernel": kernel, "what": what})

    def _worst(self, name: str, number: float, seed: int) -> None:
        if number > self.worst.get(name, [-1.0])[0]:
            self.worst[name] = [number, seed]

    def line(self, end: int) -> str:
        """As JSON; ``end``: the first seed that it does not count."""
        found = {key: getattr(self, key) for key in ("counts", "sentences", "failures", "worst")}
        return json.dumps({"end": end, **found})


def main(arguments: list[str]) -> int:
    """Exit code 0 if the whole range was tried, whatever became of it."""
    progress, first, end, names, library, memory = arguments
    if int(memory):
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    path = Path(library)
    native_library.FOLDER, native_library.FILE = path.parent, path.name
    kernels, heap, tally = runnable(names.split(",")), Heap(), Tally()
    file = os.open(progress, os.O_RDWR | os.O_CREAT)
    for seed in range(int(first), int(end)):
        os.pwrite(file, b"%20d" % seed, 0)
        try_seed(seed, kernels[seed % len(kernels)], heap, tally, Path(progress).parent)
        if (seed + 1) % LINE == 0 or seed + 1 == int(end):
            print(tally.line(seed + 1), flush=True)
            tally = Tally()
    return 0


def runnable(names: list[str]) -> list[str]:
    """Those of the kernels that this machine has. Raises NativeUnavailable for a library of no use."""
    native = [name for name in names if name != "reference"]
    found = native_library.library().isas() if native else ()
    return [name for name in names if name in (*found, "reference")]


def try_seed(seed: int, kernel: str, heap: Heap, tally: Tally, folder: Path) -> None:
    """One program; whatever is raised is a failure."""
    case = generate(seed)
    threads = 3 if seed % THREADED == 7 and kernel != "reference" else 1
    try:
        outcome, seconds = timed(case, kernel, heap, folder if seed % 8 == 3 else None, threads)
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(at.filename).name}:{at.lineno}"
        tally.fail(seed, kernel, f"{type(error).__name__}: {error} ({where})")
        tally.counts["failed"] += 1
    else:
        tally.add(case, kernel, outcome, seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
