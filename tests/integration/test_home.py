"""``~`` means the home folder wherever a path may be given: in configs and in options of every command."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from bnn_train.cli import eval as eval_command
from bnn_train.cli import export as export_command
from bnn_train.cli import train as train_command
from bnn_train.cli.common import path_argument
from bnn_train.config.loader import load
from bnn_train.training.compatible import FREE_KEYS
from make_data import write_imagenet
from tiny_yaml import refused, write_config

DATA = {"name": "imagenet", "root": "~/images", "normalize": ["signed"], "image_size": 8, "workers": 0}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with images and a config in it; the current directory is another, and empty."""
    folder = tmp_path / "home"
    write_imagenet(folder / "images")
    write_config(folder, "base.yaml", data=DATA | {"batch_size": 4}, training={"epochs": 1, "select": "last"})
    (folder / "c.yaml").write_text("extends: ~/base.yaml\nrun: {dir: ~/runs/r, tensorboard: false}\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


def test_every_command(home: Path) -> None:
    assert train_command.main(["--config", "~/c.yaml"]) == 0
    assert train_command.main(["--config", "~/c.yaml", "--resume"]) == 0
    assert train_command.main(["--resume", "~/runs/r", "--set", "data.root=~/images"]) == 0
    assert train_command.main(["--config=~/c.yaml", "--set", "run.dir=~/runs/s"]) == 0
    assert train_command.main(["--config=~/c.yaml", "--resume=~/runs/s", "--check"]) in (0, 1)
    given = ["--checkpoint=~/runs/r", "--root=~/images", "--json=~/out.json"]
    assert eval_command.main(given) == 0
    given = ["--checkpoint=~/runs/r", "--out=~/m.bnn", "--parity-data=~/images", "--report=~/e.json"]
    assert export_command.main([*given, "--no-latency"]) == 0
    assert eval_command.main(["--checkpoint=~/m.bnn", "--root=~/images"]) == 0
    made = {path.name for path in home.iterdir()}
    assert made == {"images", "base.yaml", "c.yaml", "runs", "out.json", "m.bnn", "e.json"}
    assert {path.name for path in (home / "runs").iterdir()} == {"r", "s"}
    assert os.listdir() == []


def test_a_config_keeps_what_was_written(home: Path) -> None:
    """So that it means the home folder of whoever reads it."""
    experiment = load(home / "c.yaml")
    assert (experiment.run.dir, experiment.data.root) == ("~/runs/r", "~/images")
    assert {"run.dir", "data.root"} <= set(FREE_KEYS)


@pytest.mark.parametrize("command", [train_command, eval_command, export_command])
def test_no_option_takes_a_path_as_it_is(command: object) -> None:
    options: list[argparse.Action] = command.parser()._actions  # type: ignore[attr-defined]
    assert any(option.type is path_argument for option in options)
    assert [option.dest for option in options if option.type is Path] == []


@pytest.mark.parametrize("key", ["run.dir", "data.root"])
def test_a_variable_is_no_folder(key: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A shell would have replaced it; a config does not, and would make a folder of that name."""
    said = refused(["--config", "~/c.yaml", "--set", f"{key}=$HOME/x"], capsys)
    assert f"{key}: $HOME/x: variables are not replaced in a config" in said


def test_a_user_whom_nobody_knows(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", "~/c.yaml", "--set"]
    said = refused([*arguments, "run.dir=~nobody-of-that-name/r"], capsys)
    assert said.startswith(
        "--set run.dir=~nobody-of-that-name/r: run.dir: ~nobody-of-that-name/r: no such user"
    )
    assert "data.root: ~nobody-of-that-name/i: no such user" in refused(
        [*arguments, "data.root=~nobody-of-that-name/i"], capsys
    )
    assert "no such user" in refused(["--resume", "~nobody-of-that-name/r"], capsys)
    with pytest.raises(SystemExit):
        train_command.main(["--config", "~nobody-of-that-name/c.yaml"])
    assert "no such user's home folder" in capsys.readouterr().err
    (home / "c.yaml").write_text("extends: ~nobody-of-that-name/base.yaml\n")
    assert "no such user" in refused(["--config", "~/c.yaml"], capsys)
