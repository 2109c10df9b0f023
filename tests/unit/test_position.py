"""Annealed modules follow the run: in steps, evaluations, the moving average, restore and resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.placed import Placed
from bnn_train.check.subject import open_subject
from bnn_train.data.open import open_data
from bnn_train.errors import CheckpointError
from bnn_train.models.build import build
from bnn_train.spec.annealed import Curve, Position
from bnn_train.training import fits, setup
from bnn_train.training.checkpoint import BEST, LAST, read
from bnn_train.training.position import position_of, steps_per_epoch, stored_position
from bnn_train.training.progress import Progress
from bnn_train.training.restore import model_of
from bnn_train.training.run import resume, start
from same_run import assert_same_run
from tiny import tiny

CPU = torch.device("cpu")
SEEN: list[tuple[bool, Position]] = []


class Fading(Placed):
    """Logits times a number that goes from 2 to ½ in steps; notes where it was when it was asked."""

    def forward(self, x: Tensor) -> Tensor:
        SEEN.append((self.training, self.position))
        return x * self.number(Curve.model_validate({"from": 2.0, "to": 0.5, "per": "step"}))


def with_fading(*arguments: Any) -> nn.Module:
    model = build(*arguments)
    model.add_module("fading", Fading())
    return model


@pytest.fixture(autouse=True)
def _networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network ends in such a module."""
    monkeypatch.setattr(setup, "build", with_fading)
    monkeypatch.setattr(fits, "build", with_fading)
    SEEN.clear()


def test_positions() -> None:
    assert position_of(7, 5, 4) == Position(step=7, epoch=1.4, epochs=4)
    assert position_of(20, 5, 4).epoch == 4.0
    e = tiny(Path("run"), training={"accumulate": 2})
    assert steps_per_epoch(e, open_data(e.data, seed=1, device=CPU)) == 3  # of five batches


def test_each_step_and_each_evaluation_has_its_position(tmp_path: Path) -> None:
    """Five steps an epoch; an evaluation stands where the next step would begin, the last at the end."""
    start(tiny(tmp_path / "run"))
    steps = [position.step for training, position in SEEN if training]
    assert steps == list(range(10))
    scored = [position for training, position in SEEN if not training]
    assert list(dict.fromkeys(position.step for position in scored)) == [5, 10]
    assert {position.epochs for position in scored} == {2}
    assert max(position.epoch for position in scored) == 2.0


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_restored_network_stands_where_its_checkpoint_was_saved(ema: float, tmp_path: Path) -> None:
    report = start(tiny(tmp_path / "run", training={"ema": ema, "select": "last"}))
    checkpoint = read(tmp_path / "run" / "checkpoints" / BEST)
    model = model_of(checkpoint, CPU)
    fading = model.get_submodule("fading")
    assert isinstance(fading, Fading)
    assert fading.position == Position(step=10, epoch=2.0, epochs=2)
    assert report["history"][-1]["validation_loss"] > 0
    checkpoint.state["progress"]["step"] = 5
    again = model_of(checkpoint, CPU).get_submodule("fading")
    assert isinstance(again, Fading)
    assert again.position.epoch == 1.0


def test_the_moving_average_is_evaluated_at_the_runs_position(tmp_path: Path) -> None:
    start(tiny(tmp_path / "run", training={"ema": 0.9}))
    assert {position.step for training, position in SEEN if not training} == {5, 10}


def test_a_checkpoint_of_an_earlier_release_stands_at_its_epochs_end() -> None:
    e = tiny(Path("run"))
    done = Progress(step=7, epochs_finished=1, history=[{"epoch": 1}]).to_json()
    assert stored_position({"progress": done}, e) == Position(7, 1.0, 2)
    with pytest.raises(CheckpointError, match="progress is damaged"):
        stored_position({"progress": {"step": "x"}}, e)


def test_a_resumed_run_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bnn_train.training import records

    changes: dict[str, Any] = {"training": {"ema": 0.9, "checkpoint_every": 1}}
    start(tiny(tmp_path / "straight", **changes))
    real = records.Recorder.save

    def dying(self: records.Recorder, progress: Any, *, best: bool = False) -> None:
        real(self, progress, best=best)
        if progress.step == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(records.Recorder, "save", dying)
    with pytest.raises(KeyboardInterrupt):
        start(tiny(tmp_path / "run", **changes))
    monkeypatch.setattr(records.Recorder, "save", real)
    assert read(tmp_path / "run" / "checkpoints" / LAST).state["progress"]["step"] == 7
    resume(tmp_path / "run", None)
    assert_same_run(tmp_path / "straight", tmp_path / "run")


def test_a_check_stands_where_the_run_does(tmp_path: Path) -> None:
    e = tiny(tmp_path / "run")
    start(e)
    checkpoint = read(tmp_path / "run" / "checkpoints" / LAST)
    checkpoint.state["progress"]["step"] = 5
    subject = open_subject(e, checkpoint, None)
    assert subject.position() == Position(5, 1.0, 2)
    copy = subject.copy().get_submodule("fading")
    assert isinstance(copy, Fading)
    assert copy.position == Position(5, 1.0, 2)
