"""Runs on a folder of the user's own photos, through the commands: what changes in it, what is odd in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.export import main as export
from bnn_train.cli.train import main as train
from bnn_train.data.open import open_data
from bnn_train.packed import load
from bnn_train.training import checkpoint as ckpt
from bnn_train.training import run
from bnn_train.training.checkpoint import BEST, LAST
from bnn_train.training.restore import experiment_of
from bnn_train.training.setup import choose_device
from same_run import assert_same_run
from stopping import StopAfter
from tiny_yaml import errors, files, write_config

DATA = {
    "name": "imagenet",
    "root": "photos",
    "batch_size": 8,
    "image_size": 16,
    "normalize": ["signed"],
    "augment": ["random_resized_crop"],
    "validation": {"size": 9},
    "workers": 0,
}
CLASSES = ("bird", "cat", "dog")


@pytest.fixture
def photos(workdir: Path) -> Path:
    """photos/ of 3 × 20 and 3 × 4 images, and t.yaml."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 20), ("val", 4)):
        for number, name in enumerate(CLASSES):
            folder = workdir / "photos" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                noise = rng.normal(60 + 60 * number, 30, (20, 24, 3))
                Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.jpg")
    write_config(workdir, data=DATA, training={"epochs": 2})
    return workdir / "photos"


def sides(run: str) -> dict[str, set[bytes]]:
    """The names that the run's newest checkpoint trains on and validates with, as the folder stands now."""
    experiment = experiment_of(ckpt.read(Path(run, "checkpoints", LAST)))
    device = choose_device(experiment.run)
    data = open_data(experiment.data, seed=experiment.seed, device=device, preprocess={})
    listing = data.splits["train"].source.pictures.listing  # type: ignore[attr-defined]  # a folder's
    return {name: set(listing.paths[data.splits[name].positions]) for name in ("train", "validation")}


def of_earlier_release(run: str) -> None:
    """Make the run's checkpoints what a release wrote that knew neither ``by`` nor ``drawn``."""
    for name in (LAST, BEST):
        path = Path(run, "checkpoints", name)
        stored = ckpt.read(path)
        data: dict[str, Any] = stored.state["experiment"]["data"]
        for key in ("by", "drawn", "folder"):
            del data["validation"][key]
        for key in ("exif", "on_error", "test_folder"):
            del data[key]
        path.unlink()
        ckpt.write(path, stored)


# ------------------------------------------------------------------------------- an image goes away


@pytest.mark.parametrize("take", ["random", "balanced", "last"])
def test_a_removed_image_moves_no_other(take: str, photos: Path) -> None:
    settings = ["--config", "t.yaml", "--set", f"data.validation.take={take}"]
    assert train([*settings, "--set", "training.epochs=1"]) == 0
    before = sides("runs/t")
    assert [len(before[side]) for side in ("train", "validation")] == [51, 9]
    gone = {*sorted(before["validation"])[1::4], *sorted(before["train"])[::20]}
    for name in gone:
        (photos / "train" / name.decode()).unlink()
    shutil.copy(photos / "train" / "dog" / "1.jpg", photos / "train" / "bird" / "new.jpg")
    assert train([*settings, "--set", "training.epochs=2", "--resume"]) == 0
    after = sides("runs/t")
    assert not before["train"] & after["validation"]
    assert not before["validation"] & after["train"]
    assert after["train"] | after["validation"] == (before["train"] | before["validation"]) - gone | {
        b"bird/new.jpg"
    }


def test_an_evaluation_tells_of_other_images(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["--config", "t.yaml"]) == 0
    assert export(["--checkpoint", "runs/t", "--out", "m.bnn", "--no-latency"]) == 0
    (photos / "train" / "cat" / "3.jpg").unlink()
    for file in (["runs/t"], ["m.bnn", "--root", str(photos)]):
        capsys.readouterr()
        assert evaluate(["--checkpoint", *file, "--split", "validation"]) == 0
        assert (
            "note: train/ holds other images than when the run began: 59 (60 then)" in capsys.readouterr().err
        )
        assert evaluate(["--checkpoint", *file]) == 0
        assert "note:" not in capsys.readouterr().err


def test_a_config_of_a_run_draws_the_same_split_again(photos: Path) -> None:
    assert train(["--config", "t.yaml"]) == 0
    assert train(["--config", "runs/t/config.yaml", "--set", "run.dir=again", "--set", "seed=7"]) == 0
    assert sides("again") == sides("runs/t")


def test_another_size_needs_another_draw(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["--config", "t.yaml", "--set", "training.epochs=1"]) == 0
    change = ["--set", "run.dir=again", "--set", "data.validation.size=12"]
    (said,) = errors(train, ["--config", "runs/t/config.yaml", *change], capsys)
    assert "is a split of 9 images (random), and data.validation asks for 12 (random)" in said
    change += ["--set", "data.validation.drawn=null"]
    assert train(["--config", "runs/t/config.yaml", *change]) == 0
    assert len(sides("again")["validation"]) == 12


# ---------------------------------------------------------------------- runs of earlier releases


def test_a_run_of_an_earlier_release_keeps_its_split(
    photos: Path, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_position = ["--config", "t.yaml", "--set", "data.validation.by=position"]
    assert train([*by_position, "--set", "run.dir=whole"]) == 0
    assert train([*by_position, "--set", "run.dir=old", "--set", "training.epochs=1"]) == 0
    of_earlier_release("old")
    old = sides("old")
    (photos / "train" / "cat" / "link").symlink_to("../dog")  # which that release did not follow
    assert sides("old") == old
    assert train(["--config", "t.yaml", "--set", "run.dir=old", "--resume"]) == 0
    assert_same_run(workdir / "whole", workdir / "old")
    of_earlier_release("old")
    (photos / "train" / "cat" / "3.jpg").unlink()
    for command, arguments in (
        (evaluate, ["--checkpoint", "old", "--split", "validation"]),
        (evaluate, ["--checkpoint", "old", "--split", "train"]),
        (train, ["--config", "t.yaml", "--set", "run.dir=old", "--set", "training.epochs=3", "--resume"]),
    ):
        said = errors(command, arguments, capsys)
        assert "put the " in said[0]
        assert " back" in said[0]
    assert evaluate(["--checkpoint", "old"]) == 0


# --------------------------------------------------------------------------------- damaged images


def test_damaged_images_are_left_out_and_told(
    photos: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(["--config", "t.yaml", "--set", "training.epochs=1"]) == 0
    damaged = sorted(sides("runs/t")["train"])[::20]
    for name in damaged:
        path = photos / "train" / name.decode()
        path.write_bytes(path.read_bytes()[:100])
    skip = ["--config", "t.yaml", "--set", "data.on_error=skip", "--set", "training.checkpoint_every=2"]
    (said,) = errors(train, ["--config", "t.yaml", "--resume", "--set", "training.epochs=3"], capsys)
    assert "not a readable image" in said
    assert train([*skip, "--set", "run.dir=whole"]) == 0
    report = json.loads(Path("whole/report.json").read_text())
    assert sum(entry["train_damaged"] for entry in report["history"]) == 2 * len(damaged) - sum(
        entry["train_damaged"] < len(damaged) for entry in report["history"]
    )
    assert any(f"train/: {len(damaged)} images were left out of training" in note for note in report["notes"])
    assert "photos/train" not in json.dumps(report["notes"])
    assert f"note: train/: {len(damaged)} images were left out" in capsys.readouterr().err
    for stop in (1, 4, 3):  # steps after which a signal comes, within the epochs
        arguments = [*skip, "--set", "run.dir=parts", "--set", f"data.workers={stop % 2}"]
        with monkeypatch.context() as patch:
            patch.setattr(run, "StopRequest", lambda stop=stop: StopAfter(stop))
            assert train([*arguments, *(["--resume"] if stop > 1 else [])]) == 143
    assert train([*skip, "--set", "run.dir=parts", "--set", "data.workers=2", "--resume"]) == 0
    assert_same_run(workdir / "whole", workdir / "parts")


# ------------------------------------------------------------------------------------ other folders


def test_from_another_folder(
    photos: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(["--config", "t.yaml", "--set", "training.epochs=1"]) == 0
    (workdir / "elsewhere").mkdir()
    monkeypatch.chdir(workdir / "elsewhere")
    (said,) = errors(evaluate, ["--checkpoint", "../runs/t"], capsys)
    assert said.endswith(
        "elsewhere/photos: no such folder, and the run had its images in photos; give --root FOLDER"
    )
    Path("photos").mkdir()
    (said,) = errors(evaluate, ["--checkpoint", "../runs/t"], capsys)
    assert said.endswith("(or give --root FOLDER, if the images are elsewhere)")
    assert evaluate(["--checkpoint", "../runs/t", "--root", "../photos"]) == 0


def test_a_dry_run_looks_at_the_folder(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "train" / "cat" / "a.gif").write_bytes(b"")
    (photos / "val" / "cat" / "1.jpg").write_bytes(b"")
    before = files(Path())
    assert train(["--config", "t.yaml", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "3 classes" in said.splitlines()[0]
    assert "images: train 51, validation 9, test 12, of bird, cat, dog" in said
    assert "left out 1 file whose ending is not that of an image (.gif 1)" in said
    assert "of 12 test images looked at, 1 cannot be used; the first: " in said
    assert files(Path()) == before
    shutil.rmtree(photos / "train" / "dog")
    (said,) = errors(train, ["--config", "t.yaml", "--dry-run"], capsys)
    assert "has dog, unknown to" in said
    shutil.rmtree(photos)
    assert train(["--config", "t.yaml", "--dry-run"]) == 0
    assert "photos is not there yet; counted with 1000 classes" in capsys.readouterr().out


def test_top5_of_three_classes_is_not_told(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["--config", "t.yaml", "--set", "training.epochs=1"]) == 0
    assert evaluate(["--checkpoint", "runs/t"]) == 0
    assert "top-5" not in capsys.readouterr().out + Path("runs/t/report.md").read_text()


def test_a_packed_model_turns_photos_as_its_training_did(photos: Path, workdir: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    stored = np.zeros((60, 24, 3), np.uint8)
    stored[:, 12:] = 255
    Image.fromarray(stored).save("turned.jpg", exif=exif, quality=100)
    Image.open("turned.jpg").rotate(90, expand=True).save("upright.png")
    answers = {}
    for setting in ("ignore", "apply"):
        run = f"run_{setting}"
        settings = ["--set", f"data.exif={setting}", "--set", f"run.dir={run}", "--set", "training.epochs=1"]
        assert train(["--config", "t.yaml", *settings]) == 0
        assert export(["--checkpoint", run, "--out", f"{setting}.bnn", "--no-latency"]) == 0
        model = load(f"{setting}.bnn")
        assert model.header.images.exif == setting
        answers[setting] = model(["turned.jpg", "upright.png"])
    np.testing.assert_array_equal(answers["apply"][0], answers["apply"][1])
    assert not np.array_equal(answers["ignore"][0], answers["ignore"][1])
