"""Asserts that two runs came to the same, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from bnn_train.report.metrics import read_metrics
from bnn_train.training.checkpoint import BEST, LAST, read

TIMES = {"seconds", "images_per_s", "wall_time_s", "time"}
RESULTS = ("top1", "top5", "loss", "confusion", "best_epoch", "epochs")


def without_times(value: Any) -> Any:
    """A JSON value without what the clock says."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def results(run: Path) -> dict[str, Any]:
    """The results that a report gives of the network."""
    report = json.loads((run / "report.json").read_text())
    return {key: report[key] for key in RESULTS}


def assert_same_run(a: Path, b: Path) -> None:
    """The same weights, optimizer, preprocessing and progress, chosen checkpoint, metrics and results."""
    for name in (LAST, BEST):
        one, other = read(a / "checkpoints" / name), read(b / "checkpoints" / name)
        assert one.tensors.keys() == other.tensors.keys()
        for key in one.tensors:
            assert torch.equal(one.tensors[key], other.tensors[key]), (name, key)
        assert without_times(one.state["progress"]) == without_times(other.state["progress"])
    assert metrics(a) == metrics(b)
    assert results(a) == results(b)


def metrics(run: Path) -> Any:
    """The lines of metrics.jsonl without times."""
    return without_times(read_metrics(run / "metrics.jsonl"))
