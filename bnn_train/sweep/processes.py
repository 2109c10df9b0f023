"""The runs of a sweep as local processes: begun, gone on with, or left alone where finished."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock

from bnn_train.config.loader import load
from bnn_train.errors import BnnError, RunError
from bnn_train.sweep.grid import Plan, Planned
from bnn_train.training.compatible import continued
from bnn_train.training.contents import CONFIG

Tell = Callable[[str], None]


@dataclass
class Outcome:
    """The runs that a sweep has started, by how they ended; their names."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def is_finished(run: Planned) -> bool:
    """Whether there is nothing left to do. Raises RunError where its folder holds a run of another config."""
    try:
        report = json.loads((run.folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    try:
        continued(load(run.folder / CONFIG), run.experiment)
    except BnnError as error:
        raise RunError(f"{run.folder}: {error}; or give the sweep another dir") from None
    return isinstance(report, dict) and report.get("epochs") == run.experiment.training.epochs


def execute(plan: Plan, processes: int, tell: Tell) -> Outcome:
    """Run what is not finished, ``processes`` at a time; a run that fails stops no other."""
    finished = {run.name for run in plan.runs if is_finished(run)}
    outcome = Outcome()
    waiting = [run for run in plan.runs if run.name not in finished]
    before = f", of which {len(finished)} were finished before" if finished else ""
    tell(f"{len(plan.runs)} runs in {plan.folder}, {processes} at a time{before}")
    plan.folder.mkdir(parents=True, exist_ok=True)
    started = _Started(processes)

    def one(run: Planned) -> None:
        log = plan.folder / f"{run.name}.log"
        code = started.ended(run, log)
        if code is None:
            return
        with started.lock:
            (outcome.failed if code else outcome.done).append(run.name)
            count = len(outcome.done) + len(outcome.failed)
            tell(f"{count} of {len(waiting)}  {run.name}: {_last(log) or f'exit code {code}'}")

    with started.stopped_together(), ThreadPoolExecutor(processes) as pool:
        list(pool.map(one, waiting))
    return outcome


class _Started:
    """The processes that run now."""

    def __init__(self, processes: int) -> None:
        self.lock = Lock()
        self._stop = Event()
        self._running: list[subprocess.Popen[bytes]] = []
        threads = max(1, (os.cpu_count() or 1) // processes)
        self._environment = {"OMP_NUM_THREADS": str(threads), **os.environ}

    def ended(self, run: Planned, log: Path) -> int | None:
        """Run one to its end; its exit code, None where the sweep is being stopped."""
        command = [sys.executable, "-m", "bnn_train.cli.train", *run.words]
        with log.open("ab") as stream:
            with self.lock:
                if self._stop.is_set():
                    return None
                process = subprocess.Popen(  # noqa: S603  # our own command, no shell
                    command,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,  # a terminal's Ctrl-C is handed on once, by us
                )
                self._running.append(process)
            code = process.wait()
        with self.lock:
            self._running.remove(process)
        return None if self._stop.is_set() else code

    @contextmanager
    def stopped_together(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM reach every process; each saves, and the next start goes on from there."""
        former = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            yield
        except KeyboardInterrupt:
            self._stop.set()
            with self.lock:
                running = list(self._running)
            for process in running:
                process.send_signal(signal.SIGINT)
            for process in running:
                process.wait()
            raise
        finally:
            signal.signal(signal.SIGTERM, former)


def _last(log: Path) -> str:
    """The last line that a run wrote."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
