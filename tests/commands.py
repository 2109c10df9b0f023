"""The commands as processes of their own, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
PATIENCE_S = 120
"""For a machine that is busy with other things; nothing takes a tenth of it."""


def words(name: str, *arguments: object, flags: tuple[str, ...] = ()) -> list[str]:
    """``bnn-train`` or ``bnn-eval`` with arguments."""
    module = f"bnn_train.cli.{name.removeprefix('bnn-')}"
    return [sys.executable, *flags, "-m", module, *map(str, arguments)]


def ran(name: str, *arguments: object, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    flags = options.pop("flags", ())
    return subprocess.run(
        words(name, *arguments, flags=flags),
        cwd=cwd,
        env=options.pop("env", ENVIRONMENT),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **options,
    )


@contextmanager
def running(*arguments: object, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """``bnn-train``, going on in the background; killed at the end if it is still there."""
    process = subprocess.Popen(
        words("bnn-train", *arguments),
        cwd=cwd,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def steps(run: Path) -> int:
    """The last step that metrics.jsonl tells of."""
    try:
        lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    except OSError:
        return 0
    return next((json.loads(line)["step"] for line in reversed(lines) if line.endswith("\n")), 0)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until the condition holds; an error if the process ends before."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ended(process: subprocess.Popen[str], how: signal.Signals) -> tuple[int, str]:
    """Send a signal; the exit code and what stands on stderr."""
    process.send_signal(how)
    _, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said
