"""Launches of several processes, as a user starts them: how they end, go on, and meet by rendezvous."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from processes_check import OFTEN, Launches, difference, ended, free_port, going, mistakes, process_of
from two_processes import STEPS

ROOT = Path(__file__).resolve().parents[2]
EQUAL = "equal, bit for bit"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def launches(tmp_path_factory: pytest.TempPathFactory) -> Launches:
    return Launches(tmp_path_factory.mktemp("launches"), 2, "cpu")


@pytest.fixture(scope="module")
def whole(launches: Launches) -> Path:
    code, lines = launches.ran(launches.words("whole", OFTEN), 2)
    assert code == 0
    assert [line.partition(" ")[0] for line in lines] == ["report:", "top-1"]
    return launches.folder / "whole"


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_all_and_the_run_goes_on(launches: Launches, whole: Path, rank: int) -> None:
    with going(launches, f"killed-{rank}", 7) as launch:
        os.kill(process_of(launch, rank), signal.SIGKILL)
        code, lines = ended(launch)
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("error: another process of the run ended")
    code, _ = launches.ran(launches.words(f"killed-{rank}", OFTEN, "--resume"), 2)
    assert code == 0
    assert difference(whole, launches.folder / f"killed-{rank}") == EQUAL


def test_mistakes_are_told_once(launches: Launches, whole: Path) -> None:
    for words in mistakes(launches).values():
        code, lines = launches.ran(words, 2)
        assert code == 1
        assert len(lines) == 1
        assert lines[0].startswith("error: ")


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_slurm_script_starts_nodes_that_meet(launches: Launches, whole: Path, tmp_path: Path) -> None:
    """Two launches on this machine stand for two nodes."""
    script(tmp_path / "scontrol", "echo 127.0.0.1")
    script(
        tmp_path / "srun", 'shift\nSLURM_NODEID=1 "$@" &\nSLURM_NODEID=0 "$@"; code=$?\nwait $! && exit $code'
    )
    job = {"SLURM_JOB_NODELIST": "n[0-1]", "SLURM_NNODES": "2", "SLURM_JOB_ID": str(free_port())}
    words = launches.words("slurm", OFTEN)[2:]
    done = subprocess.run(
        [str(ROOT / "scripts/slurm_train.sh"), *words],
        env={
            **os.environ,
            **job,
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHON": sys.executable,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert difference(whole, launches.folder / "slurm") == EQUAL


def test_steps_of_three_processes_are_those_of_one(tmp_path: Path) -> None:
    """Of a last batch of two images the third has none, and its norms know that."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "3"}
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    processes = [
        subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "two_processes.py"), str(tmp_path)],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": path},
        )
        for rank in range(3)
    ]
    assert [process.wait(timeout=300) for process in processes] == [0, 0, 0]
    for rank in range(3):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        for name in STEPS:
            assert max(max(step["gradients"], step["state"]) for step in found["steps"][name]) < 1e-9
