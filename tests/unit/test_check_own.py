"""The instruments for data on a folder of the user's own: nothing published to be held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bnn_train.check.data_labels import labels
from bnn_train.check.data_pixels import pixels
from bnn_train.check.line import Line
from bnn_train.check.subject import Subject, open_subject
from check_subject import lines
from make_data import WNIDS
from tiny import tiny

DARK = 25.0
"""Mean of the photos' pixels; ImageNet's is 115."""


def write(root: Path, classes: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    for part, count in (("train", 16), ("val", 4)):
        for name in classes:
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                noise = rng.normal(DARK, 8, (12, 12, 3)).clip(0, 255)
                Image.fromarray(noise.astype(np.uint8)).save(root / part / name / f"{i}.png")


def subject(root: Path, **data: Any) -> Subject:
    section = {"name": "imagenet", "root": str(root), "image_size": 8, "batch_size": 8, "workers": 0, **data}
    replaced = {"shape": None, "num_classes": None, "train_limit": None, "test_limit": None}
    whole = {**replaced, "validation": {"size": 6}, "normalize": ["mean_std"], **section}
    return open_subject(tiny(Path("run"), data=whole), None, None)


def found(root: Path, **data: Any) -> dict[str, Line]:
    s = subject(root, **data)
    return {**lines(labels, s), **lines(pixels, s)}


def test_own_photos_are_not_held_against_imagenet(tmp_path: Path) -> None:
    write(tmp_path, ("cat", "dog"))
    told = found(tmp_path)
    assert told["data files"].verdict == "ok"
    assert told["data files"].measured == "train 26, validation 6, test 8"
    assert (told["data pixels"].verdict, told["data normalized"].verdict) == ("look", "look")
    for line in told.values():
        assert "1,281,167" not in line.healthy
        assert "published" not in line.advice


def test_own_photos_are_judged_by_their_own_statistics(tmp_path: Path) -> None:
    write(tmp_path, ("cat", "dog"))
    (tmp_path / "val").rename(tmp_path / "test")
    told = found(tmp_path, name="folder")
    assert {line.verdict for line in told.values()} == {"ok"}
    assert told["data pixels"].source == "the mean and std of data.normalize"


def test_the_advice_helps(tmp_path: Path) -> None:
    write(tmp_path, ("cat", "dog"))
    advice = found(tmp_path)["data pixels"].advice
    mean, std = (
        [float(number) for number in part.partition("]")[0].split(", ")] for part in advice.split("[")[1:]
    )
    assert mean == pytest.approx([DARK / 255] * 3, abs=0.01)
    told = found(tmp_path, normalize=[{"name": "mean_std", "mean": mean, "std": std}])
    assert {line.verdict for line in told.values()} == {"ok"}


@pytest.mark.parametrize("names", [["unit"], ["signed"]])
def test_other_preparations_need_no_statistics(names: list[str], tmp_path: Path) -> None:
    write(tmp_path, ("cat", "dog"))
    assert found(tmp_path, normalize=names)["data pixels"].verdict == "ok"


def test_photos_of_one_colour_are_to_look_at(tmp_path: Path) -> None:
    write(tmp_path, ("cat", "dog"))
    for path in (tmp_path / "train").rglob("*.png"):
        Image.new("RGB", (12, 12), (9, 9, 9)).save(path)
    assert found(tmp_path, normalize=["unit"])["data pixels"].verdict == "look"


def test_what_is_left_out_is_to_look_at(tmp_path: Path) -> None:
    write(tmp_path, ("cat", "dog"))
    (tmp_path / "train" / "cat" / "a.heic").write_bytes(b"")
    line = found(tmp_path)["data files"]
    assert line.verdict == "look"
    assert "(.heic 1)" in line.measured


def test_a_part_of_imagenet_still_is(tmp_path: Path) -> None:
    write(tmp_path, WNIDS[:2])
    told = found(tmp_path)
    assert "1,281,167" in told["data files"].healthy
    assert told["data pixels"].verdict == "wrong"


def test_damaged_photos_are_left_out_as_in_training(tmp_path: Path) -> None:
    write(tmp_path, ("cat", "dog"))
    (tmp_path / "train" / "cat" / "3.png").write_bytes(b"")
    assert set(found(tmp_path, on_error="skip", validation={"size": 0})) >= {
        "data pixels",
        "data first batch",
    }
