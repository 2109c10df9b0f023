"""The board's file of runs: nights and machines add up, and no run is counted twice."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from bnn_train.config.loader import load
from bnn_train.errors import RunError
from reproduction import board, board_runs
from reproduction.plans import ROOT
from reproduction.zoo import BOARD

BASE = load(ROOT / f"configs/{BOARD}.yaml")


def _row(name: str, **top1: float) -> dict[str, Any]:
    seeds = {seed.removeprefix("seed"): value for seed, value in top1.items()}
    return {
        "row": name,
        "top1": seeds,
        "mean": statistics.fmean(seeds.values()) if seeds else None,
        "std": None,
        "epochs": 10,
        "seconds": 100.0 * len(seeds),
        "curve": {"train_top1": {"10": 40.0}} if seeds else {},
        "selection": ["last"] if seeds else [],
        "runs": [{"seed": int(seed), "machine": name} for seed in seeds],
    }


def _result(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"table": "board", "fast": None, "set": [], "rows": list(rows)}


def test_a_second_night_adds_its_seed(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    board_runs.kept(_result(_row("bnn", seed1=40.0), _row("xnor")), BASE, path)
    night = _result(_row("bnn", seed2=42.0), _row("xnor", seed1=46.0))
    bnn, xnor = board_runs.joined(night, BASE, path)["rows"]
    assert bnn["top1"] == {"1": 40.0, "2": 42.0}
    assert bnn["mean"] == 41.0
    assert bnn["std"] == pytest.approx(2**0.5)
    assert [run["seed"] for run in bnn["runs"]] == [1, 2]
    assert bnn["seconds"] == 200.0
    assert (xnor["mean"], xnor["std"]) == (46.0, None)


def test_a_run_of_both_is_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    board_runs.kept(_result(_row("bnn", seed1=40.0)), BASE, path)
    (row,) = board_runs.joined(_result(_row("bnn", seed1=43.0)), BASE, path)["rows"]
    assert (row["top1"], len(row["runs"]), row["seconds"]) == ({"1": 43.0}, 1, 100.0)


def test_another_budget_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    board_runs.kept(_result(_row("bnn", seed1=40.0)), BASE, path)
    longer = BASE.model_copy(update={"training": BASE.training.model_copy(update={"epochs": 20})})
    with pytest.raises(RunError, match="another budget"):
        board_runs.joined(_result(_row("bnn")), longer, path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match="no file of runs"):
        board_runs.joined(_result(_row("bnn")), BASE, path)


def test_the_page_stands_on_its_file() -> None:
    rows = json.loads(board.RUNS.read_text(encoding="utf-8"))["rows"]
    page = board.PAGE.read_text(encoding="utf-8")
    told = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert told
    for name, line in told.items():
        mean = sum(rows[name]["top1"].values()) / len(rows[name]["top1"])
        assert float(line.split("|")[4].split("±")[0]) == pytest.approx(mean, abs=0.0051)
