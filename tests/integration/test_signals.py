"""Runs that a signal ends, in processes of their own, and what their continuation comes to.

Each runs without end until it is stopped; then it is resumed to the end of the next epoch and compared
with a run of so many epochs that nothing disturbed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bnn_train.cli.train import main as train
from bnn_train.errors import Interrupted
from bnn_train.training.checkpoint import LAST, read
from bnn_train.training.progress import Progress
from bnn_train.training.records import Recorder
from bnn_train.training.run import resume, start
from commands import ended, running, steps, wait_for
from same_run import assert_same_run
from tiny import tiny
from tiny_yaml import files, write_config

STEPS = 100
"""In an epoch."""
DATA = {"train_limit": 400, "batch_size": 4}
KILLS = 2
"""Of a run that begins, and of one that goes on."""


def has_come_to(run: Path, step: int) -> bool:
    return steps(run) >= step


def write_endless(folder: Path, **training: Any) -> None:
    """t.yaml, whose run in run/ nobody would wait for."""
    experiment = tiny(folder / "run", data=DATA, training={"epochs": 10**6, "log_every": 1, **training})
    sections = experiment.model_dump(mode="json", include={"data", "training"})
    write_config(folder, **sections, run={"dir": "run", "tensorboard": False, "threads": 1})


def assert_resumes(folder: Path) -> None:
    """The run goes on to the end of the next epoch and equals the undisturbed one."""
    progress = read(folder / "run" / "checkpoints" / LAST).state["progress"]
    settings = {"epochs": progress["epochs_finished"] + 1, "log_every": 1}
    resume(folder / "run", tiny(folder / "run", data=DATA, training=settings))
    start(tiny(folder / "straight", data=DATA, training=settings))
    assert_same_run(folder / "straight", folder / "run")


def test_a_signal_after_the_last_step_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the last epoch is evaluated and saved: the run ends with its report, and nothing follows."""
    finish = Recorder.finish_epoch

    def disturbed(self: Recorder, progress: Progress, epoch: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        finish(self, progress, epoch)

    monkeypatch.setattr(Recorder, "finish_epoch", disturbed)
    with pytest.raises(
        Interrupted, match="stopped by SIGINT as the run ended; its report is written"
    ) as stop:
        start(tiny(tmp_path / "run", training={"epochs": 1}))
    assert stop.value.exit_code == 130
    assert (tmp_path / "run" / "report.json").is_file()


def assert_saved(folder: Path, how: signal.Signals, said: str) -> None:
    """The signal ended the run with a sentence and a checkpoint, from which it goes on."""
    step = read(folder / "run" / "checkpoints" / LAST).state["progress"]["step"]
    place = f"after step {step} (epoch {(step - 1) // STEPS + 1})"
    assert said == f"run folder: run\nstopped by {how.name} {place}; saved, go on with --resume\n"
    assert not (folder / "run" / "report.json").exists()
    assert_resumes(folder)


def test_a_signal_saves_and_ends(tmp_path: Path) -> None:
    write_endless(tmp_path)
    with running("--config", "t.yaml", cwd=tmp_path) as process:
        wait_for(lambda: steps(tmp_path / "run") >= STEPS // 3, process)
        returned, said = ended(process, signal.SIGINT)
    assert returned == 130
    assert_saved(tmp_path, signal.SIGINT, said)


@pytest.mark.slow
def test_kills_at_random_moments(tmp_path: Path) -> None:
    """SIGKILL, again and again, while every step writes a checkpoint."""
    write_endless(tmp_path, checkpoint_every=1)
    chance, arguments = random.Random(5), ["--config", "t.yaml"]
    for _ in range(KILLS):
        reached = steps(tmp_path / "run") + chance.randrange(2, STEPS // 2)
        with running(*arguments, cwd=tmp_path) as process:
            wait_for(partial(has_come_to, tmp_path / "run", reached), process)
            time.sleep(chance.uniform(0, 0.02))  # anywhere between two steps
            assert ended(process, signal.SIGKILL)[0] == -signal.SIGKILL
        arguments = ["--resume", "run"]
    assert_resumes(tmp_path)
    assert not [name for name in files(tmp_path / "run") if name.endswith(".tmp")]  # a kill may leave one


def test_a_run_has_one_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    write_endless(tmp_path)
    monkeypatch.chdir(tmp_path)
    others = (
        ["--resume", "run"],
        ["--config", "t.yaml"],
        ["--config", "t.yaml", "--set", "run.overwrite=true"],
    )
    with running("--config", "t.yaml", cwd=tmp_path) as process:
        wait_for(lambda: steps(tmp_path / "run") > 0, process)
        for arguments in others:
            assert train(arguments) == 2
            assert "error: run: " in capsys.readouterr().err
        before = steps(tmp_path / "run")
        wait_for(lambda: steps(tmp_path / "run") > before, process)
        returned, said = ended(process, signal.SIGTERM)
    assert returned == 143
    assert_saved(tmp_path, signal.SIGTERM, said)
