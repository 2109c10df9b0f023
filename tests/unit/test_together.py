"""Two processes that train one network: their steps are those of one, and they end together."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from bnn_train.report.metrics import read_metrics
from bnn_train.training.checkpoint import LAST, read
from bnn_train.training.run import resume
from same_run import assert_same_run
from two_processes import STEPS, both

ROOT = Path(__file__).resolve().parents[2]
BOUND = 1e-9
"""Of float64 sums in another order; a norm over two images that are near each other multiplies rounding by up
to 1/√ε = 100, in each of three layers."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def found(folder: Path) -> list[dict[str, Any]]:
    """What the processes found. This one is the first, since a process takes seconds to start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    second = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "two_processes.py"), str(folder)],
        env={**os.environ, **place, "RANK": "1", "LOCAL_RANK": "1", "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**place, "RANK": "0", "LOCAL_RANK": "0"}.items():
                patch.setenv(name, value)
            own = both(folder)
    finally:
        second.kill()
        said = second.communicate()[0]
        if dist.is_initialized():
            dist.destroy_process_group()
    assert said == ""
    return [own, json.loads((folder / "1.json").read_text())]


@pytest.mark.parametrize("name", STEPS)
def test_steps_are_those_of_one_process(found: list[dict[str, Any]], name: str) -> None:
    for rank in range(2):
        steps = found[rank]["steps"][name]
        assert len(steps) == {"signs": 6, "accumulation": 3, "an empty part": 2}.get(name, 5)
        assert all(step["count"] >= 6 for step in steps)
        assert max(max(step["gradients"], step["state"]) for step in steps) < BOUND


def test_evaluations_count_every_image_once(found: list[dict[str, Any]]) -> None:
    for rank in range(2):
        one, both = found[rank]["evaluated"]["one"], found[rank]["evaluated"]["both"]
        assert both["total"] == 50
        assert {k: both[k] for k in ("confusion", "top5", "total")} == {
            k: one[k] for k in ("confusion", "top5", "total")
        }
        assert both["loss"] == pytest.approx(one["loss"], rel=1e-12)
        assert both["kept"] == pytest.approx(one["kept"], rel=1e-12)


def test_messages(found: list[dict[str, Any]]) -> None:
    for rank in range(2):
        messages = found[rank]["messages"]
        assert messages["sums"] == [[3.0, 3.0, 3.0], [1]]
        assert messages["largest"] == [1, 0]
        assert messages["told"] == {"from": 1, "ü": None}
        assert [sentence.partition(":")[2][:18] for sentence in messages["met"]] == [
            " 1 image has an EX",
            " 2 images were lef",
        ]
        assert messages["copied"] == [[0.0, 0.0]] * 3
        assert messages["differs"].startswith("RunError: the processes no longer have the same own;")


def test_an_error_in_one_ends_both(found: list[dict[str, Any]]) -> None:
    first, second = (each["messages"] for each in found)
    assert first["by the second"] == "DataError: no images in 1 (process 1)"
    assert second["by the second"] == "DataError: no images in 1"
    assert first["by both"] == "DataError: no images in 0"
    assert second["by both"] == "DataError: no images in 1"
    assert first["by none"] is second["by none"] is None
    for each in (first, second):
        assert each["in the third step"]["seen"] == [0, 1]
        assert each["in the third step"]["refusal"].startswith("DataError: damaged")


def test_a_signal_to_one_stops_both_after_the_same_step(found: list[dict[str, Any]]) -> None:
    for each in found:
        assert each["messages"]["stopped in the second"] == {"seen": [0, 1, 2], "refusal": None, "signal": 15}


def test_one_that_left_is_missed(found: list[dict[str, Any]]) -> None:
    assert found[0]["lost"].startswith("LostError: another process of the run ended")
    assert "lost" not in found[1]


def test_one_process_writes(found: list[dict[str, Any]], folder: Path) -> None:
    run = folder / "whole"
    assert {path.name for path in run.iterdir()} >= {"report.md", "report.json", "log.txt", "metrics.jsonl"}
    events = [entry["event"] for entry in read_metrics(run / "metrics.jsonl")]
    assert events.count("epoch") == 2
    assert events.count("test") == 1
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["machine"]["processes"] == 2
    assert len(manifest["starts"]) == 1
    assert len((run / "predictions.csv").read_text().splitlines()) == 51
    report = json.loads((run / "report.json").read_text())
    assert sum(map(sum, report["confusion"])) == report["total"] == 50


def test_both_go_on_as_if_never_stopped(found: list[dict[str, Any]], folder: Path) -> None:
    assert_same_run(folder / "whole", folder / "stopped")


def test_one_process_goes_on(found: list[dict[str, Any]], folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(folder / "elsewhere", run)
    stopped = read(run / "checkpoints" / LAST).state["progress"]["step"]
    told: list[str] = []
    report = resume(run, None, warn=told.append)
    assert 3 <= stopped <= 4
    assert report["epochs"] == 2
    assert told == ["the run goes on with changes: processes 1 instead of 2"]
