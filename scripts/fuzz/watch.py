"""Watches workers: one that dies or hangs costs one program, named by its seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from fuzz.libraries import Libraries

_ROOT = Path(__file__).resolve().parents[2]
_LOOK = 0.05
_TELLING = ("ERROR: ", "runtime error", "limit exceeded")


class Plan(NamedTuple):
    """A trial: kernels, libraries and limits."""

    libraries: Libraries
    kernels: tuple[str, ...]
    seconds: float
    """The most one program may take by the clock."""
    batch: int = 2000
    """Programs of one process."""
    slowness: float = 1.0
    """The slowness of the kernels, in times of this machine's."""
    command: tuple[str, ...] = (sys.executable, "-m", "fuzz.worker")
    """The command that runs the worker: another machine's interpreter, under emulation."""


class Found(NamedTuple):
    """The outcomes of a range of seeds."""

    counts: Counter[str]
    sentences: Counter[str]
    failures: list[dict[str, Any]]
    worst: dict[str, list[float]]

    @classmethod
    def nothing(cls) -> Found:
        return cls(Counter(), Counter(), [], {})

    def add(self, line: dict[str, Any]) -> None:
        """A worker's line."""
        self.counts.update(line["counts"])
        self.sentences.update(line["sentences"])
        self.failures.extend(line["failures"])
        for name, worst in line["worst"].items():
            self.worst[name] = max(self.worst.get(name, worst), worst)

    def fail(self, seed: int, what: str) -> None:
        """A program that its worker did not survive."""
        self.failures.append({"seed": seed, "what": what})
        self.counts["failed"] += 1


def batches(plan: Plan, first: int, count: int, jobs: int) -> Iterator[tuple[range, Found]]:
    """The seeds ``first`` … ``first`` + ``count`` − 1, batch by batch."""
    end = first + count
    ranges = [range(at, min(at + plan.batch, end)) for at in range(first, end, plan.batch)]
    with ThreadPoolExecutor(jobs) as pool:
        yield from zip(ranges, pool.map(lambda seeds: _batch(plan, seeds), ranges), strict=True)


def _batch(plan: Plan, seeds: range) -> Found:
    found, at = Found.nothing(), seeds.start
    with tempfile.TemporaryDirectory() as folder:
        while at < seeds.stop:
            at = _some(plan, range(at, seeds.stop), Path(folder), found)
    return found


def _some(plan: Plan, seeds: range, folder: Path, found: Found) -> int:
    """The seed to go on with: the end, or behind the seed that ended its worker. What was tried before that
    seed and not yet counted is tried again."""
    counted, died = _run(plan, seeds, folder, found)
    if died is None:
        return seeds.stop
    seed, what = died
    found.fail(seed, what)
    if seed > counted:
        _run(plan, range(counted, seed), folder, found)
    return seed + 1


def _run(plan: Plan, seeds: range, folder: Path, found: Found) -> tuple[int, tuple[int, str] | None]:
    """The first seed that is not counted; and None, or the seed at which the worker died, and how."""
    progress = folder / "progress"
    progress.write_text(f"{seeds.start:20d}", encoding="utf-8")
    out, log = folder / "out", folder / "log"
    with out.open("wb") as o, log.open("wb") as e:
        worker = subprocess.Popen(_command(plan, progress, seeds), stdout=o, stderr=e, env=_environment(plan))
        code = _wait(worker, progress, plan.seconds)
    lines = [
        json.loads(line)
        for line in out.read_text(encoding="utf-8").splitlines(keepends=True)
        if line.endswith("\n")
    ]
    for line in lines:
        found.add(line)
    counted = lines[-1]["end"] if lines else seeds.start
    if code == 0:
        return counted, None
    return counted, (
        int(progress.read_text(encoding="utf-8")),
        _last_words(code, log.read_text(encoding="utf-8", errors="replace")),
    )


def _command(plan: Plan, progress: Path, seeds: range) -> list[str]:
    libraries = plan.libraries
    last = [",".join(plan.kernels), str(libraries.kernels), str(libraries.memory), str(plan.slowness)]
    return [*plan.command, str(progress), str(seeds.start), str(seeds.stop), *last]


def _environment(plan: Plan) -> dict[str, str]:
    path = os.pathsep.join([str(_ROOT), str(_ROOT / "scripts")])
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", **plan.libraries.environment}


def _wait(worker: subprocess.Popen[bytes], progress: Path, most: float) -> int | None:
    """The exit code; None for a worker that had to be ended since a seed took too long."""
    seen, since = "", time.monotonic()
    while True:
        try:
            return worker.wait(_LOOK)
        except subprocess.TimeoutExpired:
            now = progress.read_text(encoding="utf-8")
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > most:
            worker.kill()
            worker.wait()
            return None


def _last_words(code: int | None, log: str) -> str:
    if code is None:
        return "timeout"
    lines = [line for line in log.splitlines() if any(word in line for word in _TELLING)]
    frames = [line.split(" in ", 1)[-1] for line in log.splitlines() if "/csrc/" in line and " in " in line]
    words = " | ".join([*lines[:1], *frames[:2]]) or " | ".join(log.splitlines()[-2:])
    return f"exit {code}: {words[:500]}"
