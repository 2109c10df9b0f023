"""A run that goes on under other conditions says so, in the report too, or refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bnn_train.cli.train import main as train
from bnn_train.errors import RunError
from bnn_train.report.metrics import read_metrics
from bnn_train.report.versions import machine
from bnn_train.training import images, manifest
from bnn_train.training.run import resume, start
from make_data import write_imagenet
from same_run import assert_same_run
from tiny import tiny
from tiny_yaml import refused, write_config

Capture = pytest.CaptureFixture[str]


def notes(run: Path) -> list[str]:
    """The notes on changes in report.json, each of which report.md must have, too."""
    every = json.loads((run / "report.json").read_text())["notes"]
    told = [note for note in every if note.startswith("The run went on")]
    text = (run / "report.md").read_text()
    assert all(note in text for note in told)
    return told


def rates(run: Path) -> list[float]:
    return [entry["lr"] for entry in read_metrics(run / "metrics.jsonl") if entry["event"] == "epoch"]


# ------------------------------------------------------------------------------------- epochs

CURVES: dict[str, dict[str, Any]] = {
    "cosine": {"name": "cosine"},
    "linear": {"name": "linear"},
    "exponential": {"name": "exponential", "end": 1e-4},
    "poly": {"name": "poly", "power": 2.0},
    "cosine by steps": {"name": "cosine", "per": "step", "warmup": 0.5},
}
LENGTHLESS = {
    "constant": {"name": "constant"},
    "step": {"name": "step", "at": [1]},
    "steps": {"name": "step", "every": 1},
    "table": {"name": "table", "rates": {0: 0.01, 1: 0.001}},
}


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("epochs", [3, 5])
def test_another_length_of_a_curve_is_refused(name: str, epochs: int, tmp_path: Path) -> None:
    """Longer or shorter; the sentence names both ways to go on."""
    changes = {"schedule": CURVES[name]}
    start(tiny(tmp_path / "run", **changes, training={"epochs": 2}))
    resume(tmp_path / "run", None)
    assert notes(tmp_path / "run") == []
    with pytest.raises(RunError, match=rf"schedule\.over=2, or .* schedule\.over={epochs}$"):
        resume(tmp_path / "run", tiny(tmp_path / "run", **changes, training={"epochs": epochs}))


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_that_is_kept(name: str, tmp_path: Path) -> None:
    """The run equals one that was to be so long, and to have that curve, from its beginning."""
    longer = {"schedule": {**CURVES[name], "over": 2}, "training": {"epochs": 4}}
    start(tiny(tmp_path / "run", schedule=CURVES[name], training={"epochs": 2}))
    resume(tmp_path / "run", tiny(tmp_path / "run", **longer))
    start(tiny(tmp_path / "straight", **longer))
    assert_same_run(tmp_path / "straight", tmp_path / "run")
    [note] = notes(tmp_path / "run")
    kept = f"4 epochs instead of 2, the {CURVES[name]['name']} schedule kept over 2 epochs"
    assert note == f"The run went on after step 10 with changes: {kept}."
    assert notes(tmp_path / "straight") == []


def test_a_curve_that_is_stretched(tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "run"
    start(tiny(run, schedule="linear"))
    assert rates(run) == pytest.approx([0.01, 0.005])
    told: list[str] = []
    longer = {"schedule": {"name": "linear", "over": 4}, "training": {"epochs": 4}}
    resume(run, tiny(run, **longer), warn=told.append)
    assert rates(run) == pytest.approx([0.01, 0.005, 0.005, 0.0025])
    stretched = "4 epochs instead of 2, the linear schedule stretched from 2 to 4 epochs"
    assert told == [f"the run goes on with changes: {stretched}"]
    assert notes(run) == [f"The run went on after step 10 with changes: {stretched}."]
    resume(run, None)  # as it stands now; what was told stays told
    assert notes(run) == [f"The run went on after step 10 with changes: {stretched}."]


def test_over_the_command_line(workdir: Path, capsys: Capture) -> None:
    write_config(workdir, schedule="cosine")
    assert train(["--config", "t.yaml"]) == 0
    for arguments in (["--resume"], ["--config", "t.yaml", "--resume"]):
        assert "schedule.over=2" in refused([*arguments, "--set", "training.epochs=3"], capsys)
    assert train(["--resume", "--set", "training.epochs=3", "--set", "schedule.over=2"]) == 0
    assert "warning: the run goes on with changes: 3 epochs instead of 2" in capsys.readouterr().err


@pytest.mark.parametrize("name", LENGTHLESS)
def test_more_epochs_where_the_rate_does_not_ask_for_their_number(name: str, tmp_path: Path) -> None:
    changes = {"schedule": LENGTHLESS[name]}
    start(tiny(tmp_path / "run", **changes))
    resume(tmp_path / "run", tiny(tmp_path / "run", **changes, training={"epochs": 3}))
    start(tiny(tmp_path / "straight", **changes, training={"epochs": 3}))
    assert_same_run(tmp_path / "straight", tmp_path / "run")
    assert notes(tmp_path / "run") == []


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_fewer_epochs_than_are_done(schedule: str, workdir: Path, capsys: Capture) -> None:
    write_config(workdir, schedule=schedule, training={"epochs": 3})
    assert train(["--config", "t.yaml"]) == 0
    shorter = ["--resume", "--set", "training.epochs=2"]
    shorter += ["--set", "schedule.over=3"] if schedule == "cosine" else []
    said = refused(shorter, capsys)
    assert said.startswith("training.epochs is 2, but the run is in epoch 3 already; set it to 3 or more")
    assert train(["--resume"]) == 0


# ------------------------------------------------------------------------------------- images

SIZES = {"batch_size": 8, "validation": {"size": 9}, "image_size": 8, "workers": 0}
FOLDER = {"name": "imagenet", "root": "images", "normalize": ["signed"], **SIZES}


@pytest.fixture
def begun(workdir: Path) -> Path:
    """A run of one epoch on a folder of 36 + 6 images, nine held out: three whole batches an epoch."""
    write_imagenet(workdir / "images", train=12, val=2)
    write_config(workdir, data=FOLDER, training={"epochs": 1})
    assert train(["--config", "t.yaml", "--set", "run.dir=run"]) == 0
    return workdir / "images"


MORE = ["--resume", "run", "--set", "training.epochs=2"]


def test_the_same_images_elsewhere_are_no_change(begun: Path, capsys: Capture) -> None:
    begun.rename("moved")
    assert train([*MORE, "--set", "data.root=moved"]) == 0
    assert notes(Path("run")) == []
    assert "changes" not in capsys.readouterr().err


def test_test_images_that_are_others_are_told(begun: Path, capsys: Capture) -> None:
    [gone, *_] = sorted((begun / "val").rglob("*.JPEG"))
    gone.rename(gone.with_name("another.JPEG"))
    assert train(MORE) == 0
    assert "the run goes on with changes: test images: 1 gone, 1 new, 6 now" in capsys.readouterr().err
    told = ["The run went on after step 3 with changes: test images: 1 gone, 1 new, 6 now."]
    assert notes(Path("run")) == told
    assert train(["--resume", "run"]) == 0
    assert notes(Path("run")) == told


def test_an_image_that_was_trained_on_never_chooses_the_epoch(begun: Path, capsys: Capture) -> None:
    """Whatever the rule of the split makes of another folder."""
    kept = dict(images.recorded(Path("run")))
    kept[images.TRAINED] = np.union1d(kept[images.TRAINED], kept["validation"][:2])
    images.record(Path("run"), kept, kept)
    said = refused(MORE, capsys)
    assert said.startswith("2 of the 9 validation images have been trained on")


def test_an_epoch_of_another_length_is_refused(begun: Path, capsys: Capture) -> None:
    trained = sorted((begun / "train").rglob("*.JPEG"))
    for path in trained[:12]:
        Image.open(path).save(path.with_name(f"more_{path.name}"))
    lengths = r"3\d training images where the run had 27, so an epoch has 4 batches instead of 3"
    assert re.search(lengths, refused(MORE, capsys))


def test_a_run_that_kept_no_list_of_its_images(begun: Path, capsys: Capture) -> None:
    """Of an older release: with the same folder it goes on; with another, the split may have moved."""
    (Path("run") / images.NAME).unlink()
    assert train(MORE) == 0
    assert notes(Path("run")) == []
    (Path("run") / images.NAME).unlink()
    [first, *_] = sorted((begun / "train").rglob("*.JPEG"))
    first.rename(first.with_name("another.JPEG"))
    said = refused(["--resume", "run", "--set", "training.epochs=3"], capsys)
    assert "no longer holds the images that the run began with, and it kept no list of them" in said


def test_files_without_names_are_known_by_their_digest(run: Path) -> None:
    kept = json.loads((run / "manifest.json").read_text())
    kept["data"]["digests"]["synthetic/train"] = "sha256:0"
    kept["data"]["sizes"]["test"] = 49
    (run / "manifest.json").write_text(json.dumps(kept))
    told: list[str] = []
    resume(run, None, warn=told.append)
    changes = ["test images: 50 instead of 49", "other images in synthetic/train"]
    assert told == [f"the run goes on with changes: {change}" for change in changes]
    assert notes(run) == [f"The run went on after step 10 with changes: {'; '.join(changes)}."]


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "[]",
        "{",
        '{"starts": 3}',
        '{"starts": [3, {"changes": 4}], "data": 5, "versions": [1]}',
        "[" * 9999,
    ],
)
def test_a_damaged_manifest_is_no_hindrance(damage: str, run: Path) -> None:
    (run / "manifest.json").write_text(damage)
    (run / images.NAME).write_bytes(b"?")
    resume(run, None)
    assert notes(run) == []


# ---------------------------------------------------------------------------- the surroundings


def test_other_versions_and_another_machine_are_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last bits of a result may depend on them."""
    here = machine()
    monkeypatch.setattr(manifest, "versions", lambda: {"torch": "99.0"})
    monkeypatch.setattr(manifest, "machine", lambda: {**here, "cpu": "another", "cores": 999})
    told: list[str] = []
    resume(run, None, warn=told.append)
    assert len(told) == 2
    assert told[0].startswith("the run goes on with changes: torch 99.0 instead of ")
    assert told[1].startswith("the run goes on with changes: cpu another instead of ")
    assert "torch 99.0 instead of" in notes(run)[0]
