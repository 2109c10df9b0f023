"""metrics.jsonl and TensorBoard: what is written, what a resumption forgets, what a full disk may do."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bnn_train.errors import RunError
from bnn_train.report.metrics import MetricsLog, read_metrics


def log(folder: Path, *, tensorboard: bool = False, resume_step: int | None = None) -> MetricsLog:
    return MetricsLog(folder, tensorboard=tensorboard, resume_step=resume_step)


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder / "tensorboard"), size_guidance={"histograms": 0}).Reload()


def test_one_json_object_a_line(tmp_path: Path) -> None:
    metrics = log(tmp_path)
    metrics.write("step", 50, 1, loss=0.25, lr=1e-3)
    metrics.write("epoch", 100, 1, top1=91, layers={"conv2": {"flip_rate": 0.5}})
    metrics.close()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"event": "step", "step": 50, "epoch": 1, "loss": 0.25, "lr": 1e-3},
        {"event": "epoch", "step": 100, "epoch": 1, "top1": 91, "layers": {"conv2": {"flip_rate": 0.5}}},
    ]
    assert not (tmp_path / "tensorboard").exists()


def test_numbers_that_json_has_not(tmp_path: Path) -> None:
    foreign = {"d": torch.tensor(2.0), "e": np.float64("nan"), "f": np.int64(3)}
    log(tmp_path).write("step", 1, 1, a=math.nan, b=math.inf, c=[-math.inf, 1.5], **foreign)
    text = (tmp_path / "metrics.jsonl").read_text()
    values = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the file"))
    assert [values[key] for key in "abcdef"] == [None, None, [None, 1.5], 2.0, None, 3]


def test_resuming_forgets_later_steps(tmp_path: Path) -> None:
    metrics = log(tmp_path)
    for step in (10, 20, 30, 40):
        metrics.write("step", step, 1, loss=1 / step)
    before = (tmp_path / "metrics.jsonl").read_text().splitlines()
    resumed = log(tmp_path, resume_step=20)
    resumed.write("step", 30, 1, loss=7.0)
    after = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert after[:2] == before[:2]  # to the last digit
    assert json.loads(after[2])["loss"] == 7.0
    assert len(after) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]  # no temporary file stays


def test_resuming_without_a_file(tmp_path: Path) -> None:
    log(tmp_path, resume_step=20).write("step", 30, 1)
    assert [entry["step"] for entry in read_metrics(tmp_path / "metrics.jsonl")] == [30]


def test_a_line_that_a_kill_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"event": "step", "step": 1, "epoch": 1}\n{"event": "step", "st')
    assert [entry["step"] for entry in read_metrics(path)] == [1]
    log(tmp_path, resume_step=1).write("step", 2, 1)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"metrics\.jsonl: cannot be read"):
        read_metrics(tmp_path / "metrics.jsonl")


@pytest.mark.parametrize("resume_step", [None, 3])
def test_failing_writes_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, resume_step: int | None
) -> None:
    (tmp_path / "metrics.jsonl").mkdir()  # nobody, root included, can write there
    with caplog.at_level(logging.WARNING):
        metrics = log(tmp_path, resume_step=resume_step)
        metrics.write("step", 1, 1)
        metrics.write("step", 2, 1)
    (record,) = caplog.records
    assert "metrics.jsonl: some metrics are lost: " in record.message
    assert "the training goes on" in record.message


def test_writing_goes_on_when_the_disk_does(tmp_path: Path) -> None:
    metrics = log(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.mkdir()
    metrics.write("step", 1, 1)
    path.rmdir()
    metrics.write("step", 2, 1)
    metrics.write("step", 3, 1)
    assert [entry["step"] for entry in read_metrics(path)] == [2, 3]


def test_half_a_line_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = log(tmp_path)

    def full(path: Path, mode: str, encoding: str) -> None:
        with open(path, mode, encoding=encoding) as file:
            file.write('{"event": "st')
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        metrics.write("step", 1, 1)
    metrics.write("step", 2, 1)
    assert [entry["step"] for entry in read_metrics(tmp_path / "metrics.jsonl")] == [2]


def test_tensorboard_holds_scalars_and_histograms(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metrics = log(tmp_path, tensorboard=True)
    layers = {"conv2": {"flip_rate": 0.25, "at_clip": math.nan}}
    metrics.write("epoch", 7, 1, loss=0.5, note="text", bad=math.nan, layers=layers)
    metrics.histogram("latent/conv2", torch.tensor([[-1.0, 1.0], [1.0, 1.0]], requires_grad=True), 7)
    metrics.close()
    board = events(tmp_path)
    assert set(board.Tags()["scalars"]) == {"epoch/loss", "flip_rate/conv2"}
    (scalar,) = board.Scalars("flip_rate/conv2")
    assert (scalar.step, scalar.value) == (7, 0.25)
    (histogram,) = board.Histograms("latent/conv2")
    values = histogram.histogram_value
    assert (values.num, values.min, values.max, values.sum) == (4, -1, 1, 2)
    assert caplog.records == []


def test_tensorboard_forgets_later_steps(tmp_path: Path) -> None:
    metrics = log(tmp_path, tensorboard=True)
    for step in (1, 2, 3):
        metrics.write("step", step, 1, loss=float(step))
    metrics.close()
    resumed = log(tmp_path, tensorboard=True, resume_step=2)
    resumed.write("step", 3, 1, loss=30.0)
    resumed.close()
    assert [(e.step, e.value) for e in events(tmp_path).Scalars("step/loss")] == [
        (1, 1.0),
        (2, 2.0),
        (3, 30.0),
    ]


def test_a_broken_tensorboard_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metrics = log(tmp_path, tensorboard=True)
    for step in (1, 2):  # TensorBoard refuses histograms without a finite value
        metrics.histogram("latent/conv2", torch.full((3,), math.nan), step)
    metrics.write("step", 2, 1, loss=1.0)
    metrics.close()
    assert [r.message for r in caplog.records if "TensorBoard: some metrics are lost" in r.message] != []
    assert len(caplog.records) == 1
    assert events(tmp_path).Scalars("step/loss")[0].value == 1.0


def test_a_folder_that_tensorboard_cannot_make(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    metrics = log(tmp_path, tensorboard=True)
    metrics.write("step", 1, 1, loss=1.0)
    metrics.close()
    assert len(caplog.records) == 1
    assert [entry["step"] for entry in read_metrics(tmp_path / "metrics.jsonl")] == [1]
