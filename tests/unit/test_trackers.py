"""Trackers of runs: metrics.csv, and the calls that MLflow, wandb and trackio get, on stand-ins for them."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bnn_train.errors import RunError
from bnn_train.report import trackers
from bnn_train.report.metrics import MetricsLog
from bnn_train.training.run import start
from tiny import tiny

CONFIG = {"seed": 3, "data": {"name": "digits", "augment": ["pad_crop_flip"]}, "run": {"dir": None}}


class Stand:
    """Notes every call; ``init`` and ``start_run`` give runs."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.id = "id-1"
        self.info = SimpleNamespace(run_id="id-1")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*words: Any, **named: Any) -> Stand:
            self.calls.append((name, words, named))
            return self

        return call

    def named(self, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        return [(words, options) for found, words, options in self.calls if found == name]


def log(folder: Path, name: str, resume_step: int | None = None) -> MetricsLog:
    opened = trackers.opened([name], folder, CONFIG, resume_step)
    return MetricsLog(folder, tensorboard=False, resume_step=resume_step, trackers=opened)


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


def test_csv_has_a_row_an_epoch_and_forgets_what_did_not_happen(tmp_path: Path) -> None:
    first = log(tmp_path, "csv")
    first.write("step", 5, 1, loss=9.0)
    first.write("epoch", 10, 1, train_loss=0.5, layers={"fc": {"flip_rate": 0.25}})
    first.write("epoch", 20, 2, train_loss=0.25, skipped_steps=1)
    assert [row["train_loss"] for row in rows(tmp_path)] == ["0.5", "0.25"]
    assert rows(tmp_path)[0]["flip_rate/fc"] == "0.25"
    assert rows(tmp_path)[0]["skipped_steps"] == ""
    again = log(tmp_path, "csv", resume_step=15)
    again.write("epoch", 20, 2, train_loss=0.125)
    assert [(row["epoch"], row["step"], row["train_loss"]) for row in rows(tmp_path)] == [
        ("1", "10", "0.5"),
        ("2", "20", "0.125"),
    ]


def test_wandb_is_offline_and_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand()
    monkeypatch.setitem(sys.modules, "wandb", stand)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    first = log(tmp_path, "wandb")
    first.write("epoch", 10, 1, train_loss=0.5)
    first.close()
    log(tmp_path, "wandb", resume_step=10).close()
    (_, begun), (_, resumed) = stand.named("init")
    assert begun == {
        "project": "bnn_train",
        "name": tmp_path.name,
        "mode": "offline",
        "config": {"seed": 3, "data.name": "digits", "data.augment": '["pad_crop_flip"]'},
    }
    assert (resumed["id"], resumed["resume"]) == ("id-1", "allow")
    assert stand.named("log") == [(({"epoch/train_loss": 0.5, "epoch": 1},), {"step": 10})]
    assert len(stand.named("finish")) == 2


def test_mlflow_gets_parameters_once_and_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand()
    monkeypatch.setitem(sys.modules, "mlflow", stand)
    first = log(tmp_path, "mlflow")
    first.write("test", 10, 1, top1=90.0)
    first.close()
    log(tmp_path, "mlflow", resume_step=10)
    assert stand.named("start_run") == [((), {"run_name": tmp_path.name}), ((), {"run_id": "id-1"})]
    assert len(stand.named("log_params")) == 1
    assert stand.named("log_metrics") == [(({"test/top1": 90.0},), {"step": 10})]


def test_trackio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand()
    monkeypatch.setitem(sys.modules, "trackio", stand)
    log(tmp_path, "trackio").close()
    log(tmp_path, "trackio", resume_step=0).close()
    assert [named["resume"] for _, named in stand.named("init")] == ["never", "allow"]


def test_a_tracker_that_breaks_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = SimpleNamespace(init=lambda **named: 1 / 0)
    monkeypatch.setitem(sys.modules, "wandb", broken)
    found = log(tmp_path, "wandb")
    found.write("epoch", 10, 1, train_loss=0.5)
    found.close()
    assert [record.getMessage() for record in caplog.records] == [
        "warning: wandb: some metrics are lost: division by zero; the training goes on"
    ]


def test_one_that_is_missing_is_told_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(RunError, match=r"wandb is not installed .*: pip install 'bnn-train\[wandb\]'"):
        start(tiny(tmp_path / "run", run={"trackers": ["csv", "wandb"]}))
    assert not (tmp_path / "run").exists()


def test_a_run_writes_its_table_and_may_be_overwritten(tmp_path: Path) -> None:
    start(tiny(tmp_path / "run", run={"trackers": ["csv"]}))
    assert [row["epoch"] for row in rows(tmp_path / "run")] == ["1", "2"]
    start(tiny(tmp_path / "run", run={"overwrite": True}))
    assert not (tmp_path / "run" / "metrics.csv").exists()
