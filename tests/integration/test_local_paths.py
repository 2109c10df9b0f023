"""Nothing that a run or an export leaves tells where on this machine it was made, its config.yaml apart."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.export import main as export
from bnn_train.cli.train import main as train
from bnn_train.config.loader import load
from bnn_train.config.local import located, shown_words
from bnn_train.packed import load as load_packed
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.restore import experiment_of
from make_data import accept, write_mnist
from tiny_yaml import files, refused, write_config

Capture = pytest.CaptureFixture[str]
USER = "zoe-4711"
FAST = ["--kernel", "reference"]


@pytest.fixture
def home(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home with data and a config: every path that she gives is absolute, or begins with ``~``."""
    home = workdir / "home" / USER
    write_mnist(home / "my data")
    accept(monkeypatch, home / "my data", "mnist")
    monkeypatch.setenv("HOME", str(home))
    data = {"name": "mnist", "root": str(home / "my data"), "batch_size": 4, "validation": {"size": 10}}
    write_config(home, data=data, training={"epochs": 1}, run={"dir": str(home / "run"), "tensorboard": True})
    for words in (
        ["--config", str(home / "t.yaml"), f"--set=run.dir={home / 'run'}", "--set", "seed=4"],
        ["--resume", str(home / "run"), "--set", "training.epochs=2"],
    ):
        monkeypatch.setattr(sys, "argv", ["/usr/bin/bnn-train", *words])
        assert train(words) == 0
    arguments = ["--checkpoint", str(home / "run"), "--out", str(home / "out.bnn"), "--no-latency", *FAST]
    assert export([*arguments, "--report", str(home / "export.json")]) == 0
    arguments = ["--checkpoint", str(home / "run"), "--split", "validation"]
    assert evaluate([*arguments, "--json", str(home / "eval.json")]) == 0
    return home


def test_no_artefact_tells_the_user_or_a_folder(home: Path, workdir: Path) -> None:
    left = {name: raw for name, raw in files(home).items() if not name.startswith("my data")}
    assert {"out.bnn", "export.json", "eval.json", "run/manifest.json", "run/report.md"} <= left.keys()
    assert any(name.startswith("run/tensorboard/") for name in left)
    telling = [
        name
        for name, raw in left.items()
        if any(str(word).encode() in raw for word in (USER, workdir, "my data"))
    ]
    assert sorted(telling) == ["run/config.yaml", "t.yaml"]
    manifest = json.loads((home / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["starts"][0]["command"] == [
        "bnn-train",
        "--config",
        "…/t.yaml",
        "--set=run.dir=…/run",
        "--set",
        "seed=4",
    ]


def test_within_the_run_everything_is_found_again(home: Path) -> None:
    written = load(home / "run" / "config.yaml")
    assert (written.data.root, written.run.dir) == (str(home / "my data"), str(home / "run"))
    for name in (ckpt.BEST, ckpt.LAST):
        assert experiment_of(ckpt.read(home / "run" / "checkpoints" / name)) == written
    shutil.copy(home / "out.bnn", home / "run" / "model.bnn")
    for file in ("run", "run/checkpoints/last.safetensors", "run/model.bnn"):
        assert evaluate(["--checkpoint", str(home / file), *(FAST if file.endswith("bnn") else [])]) == 0


@pytest.mark.parametrize("file", ["away.bnn", "away.safetensors"])
def test_outside_it_the_data_has_to_be_named(file: str, home: Path, capsys: Capture) -> None:
    shutil.copy(home / "out.bnn", "away.bnn")
    shutil.copy(home / "run" / "checkpoints" / "best.safetensors", "away.safetensors")
    kernel = FAST if file.endswith("bnn") else []
    said = refused(["--checkpoint", file, *kernel], capsys, evaluate)
    assert said == f"{Path('data').absolute()}: no such folder; give --root FOLDER"
    assert evaluate(["--checkpoint", file, "--root", str(home / "my data"), *kernel]) == 0


def test_what_the_header_holds_instead(home: Path) -> None:
    stored: Any = load_packed(home / "out.bnn", kernel="reference").header.experiment
    assert (stored["data"]["root"], stored["run"]["dir"]) == ("data", None)
    assert stored["data"]["validation"]["size"] == 10


def test_a_checkpoint_of_an_earlier_release_names_its_folders(home: Path) -> None:
    """It did so itself; a config.yaml beside it tells where they are by now."""
    path = home / "run" / "checkpoints" / ckpt.LAST
    checkpoint = ckpt.read(path)
    ckpt.write(path, checkpoint)
    shutil.copy(path, "away.safetensors")
    assert experiment_of(ckpt.read(Path("away.safetensors"))).data.root == str(home / "my data")
    config = yaml.safe_load((home / "run" / "config.yaml").read_text(encoding="utf-8"))
    config["data"]["root"] = "moved"
    (home / "run" / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert experiment_of(ckpt.read(path)).data.root == "moved"


@pytest.mark.parametrize(
    "beside",
    [None, "", "data: 3", "\0", "data: {name: cifar10, root: theirs}", "data: {name: mnist, root: 3}", "[1"],
)
def test_a_config_beside_a_file_that_is_none_of_its_own(beside: str | None, tmp_path: Path) -> None:
    stored = {"data": {"name": "mnist", "root": "data"}, "run": {"dir": None}}
    if beside is not None:
        (tmp_path / "config.yaml").write_text(beside, encoding="utf-8")
    assert located(stored, tmp_path) == stored
    (tmp_path / "config.yaml").unlink(missing_ok=True)
    (tmp_path / "config.yaml").mkdir()
    assert located(stored, tmp_path) == stored


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("runs/a", "runs/a"),
        ("/home/zoe/a b/c.yaml", "…/c.yaml"),
        ("~/c.yaml", "…/c.yaml"),
        ("data.root=/home/zoe/a b", "data.root=…/a b"),
        ("data.root=~zoe", "data.root=…/~zoe"),
        ('--set=data.root="/home/zoe/x"', '--set=data.root="…/x"'),
        ("data={name: mnist, root: /home/zoe/x}", "data={name: mnist, root: …/x}"),
        ("optimizer.lr=1/2", "optimizer.lr=1/2"),
        ("model.width=~", "model.width=~"),
    ],
)
def test_words_of_a_command(word: str, shown: str) -> None:
    assert shown_words([word]) == [shown]
