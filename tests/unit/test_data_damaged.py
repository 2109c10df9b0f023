"""Damaged images in training: left out where the config says so, counted, and never where they are scored."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bnn_train.config.schema import Data
from bnn_train.data.bundle import DataBundle
from bnn_train.data.folder import list_images
from bnn_train.data.open import open_data
from bnn_train.data.pixels import pixel_batches
from bnn_train.data.randomness import permutation
from bnn_train.errors import DataError, ImageError
from bnn_train.packed import photo
from make_data import WNIDS, write_imagenet

Batches = list[tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture
def section(tmp_path: Path) -> dict[str, Any]:
    write_imagenet(tmp_path)
    return {
        "name": "imagenet",
        "root": str(tmp_path),
        "image_size": 14,
        "batch_size": 4,
        "eval_batch_size": 4,
        "augment": ["random_resized_crop"],
        "workers": 0,
        "on_error": "skip",
        "exif": "apply",
    }


def opened(section: dict[str, Any], **more: Any) -> DataBundle:
    return open_data(Data.model_validate(section), seed=1, device=torch.device("cpu"), **more)


def damage(section: dict[str, Any], part: str, number: int, kind: str = "truncated") -> str:
    """The image with that number in the listing; returns its name."""
    listing = list_images(Data.model_validate(section), part)
    path = listing.path(number)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "gone":
        path.unlink()
    elif kind == "pipe":
        path.unlink()
        os.mkfifo(path)
    return os.fsdecode(listing.paths[number])


def joined(batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def equal(one: Batches, other: Batches) -> bool:
    return all(torch.equal(a, b) and torch.equal(x, y) for (a, x), (b, y) in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", ["truncated", "gone", "pipe"])
def test_the_next_in_the_list_takes_the_place(kind: str, section: dict[str, Any]) -> None:
    data = opened(section)  # listed before the files change
    whole, order = joined(data.train_batches(2)), permutation(1, 2, 12).tolist()
    name = damage(section, "train", 6, kind)
    found = joined(data.train_batches(2))
    expected = [order.index(7 if index == 6 else index) for index in order]
    assert torch.equal(found[0], whole[0][expected])
    assert torch.equal(found[1], whole[1][expected])
    assert data.take_damaged() == 1
    assert data.take_damaged() == 0
    (told,) = data.remarks
    assert told.startswith("train/: 1 image was left out of training as damaged")
    assert f"the first is {name}: " in told
    assert section["root"] not in told


@pytest.mark.parametrize("batch", [1, 4, 5])
def test_the_last_ones_give_their_places_to_the_first(batch: int, section: dict[str, Any]) -> None:
    section = {**section, "batch_size": batch, "drop_last": False}
    whole, order = joined(opened(section).train_batches(0)), permutation(1, 0, 12).tolist()
    for number in (10, 11):
        damage(section, "train", number)
    data = opened(section)
    found = joined(data.train_batches(0))
    expected = [order.index(0 if index > 9 else index) for index in order]
    assert torch.equal(found[0], whole[0][expected])
    assert torch.equal(found[1], whole[1][expected])
    assert data.take_damaged() == 2


def test_a_place_is_never_given_to_a_held_out_image(section: dict[str, Any]) -> None:
    section = {**section, "validation": {"size": 6}, "augment": []}
    data = opened(section)
    held = data.splits["validation"].positions.tolist()
    before = next(n for n in held if n - 1 not in held and n)
    pictures, _ = joined(data.eval_batches("validation"))
    damage(section, "train", before - 1)
    batches = torch.cat([images for images, _ in data.train_batches(0)])
    assert not any(torch.equal(image, picture) for image in batches for picture in pictures)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_a_later_start_change_nothing(section: dict[str, Any], workers: int) -> None:
    for number in (1, 6, 11):
        damage(section, "train", number)
    one, other = opened(section), opened({**section, "workers": workers})
    assert equal(list(one.train_batches(0)), list(other.train_batches(0)))
    assert one.take_damaged() == other.take_damaged() == 3
    assert equal(list(one.train_batches(1))[1:], list(opened(section).train_batches(1, skip=1)))
    assert one.remarks == other.remarks


def test_a_damaged_folder_is_told(section: dict[str, Any]) -> None:
    for number in range(12):
        damage(section, "train", number)
    with pytest.raises(
        DataError, match=r"not a readable image .*; and so is every image after it, 12 in a row"
    ):
        list(opened(section).train_batches(0))


@pytest.mark.parametrize("workers", [0, 2])
def test_without_skip_the_run_stops(section: dict[str, Any], workers: int) -> None:
    name = damage(section, "train", 7)
    with pytest.raises(ImageError, match=name):
        list(opened({**section, "on_error": "fail", "workers": workers}).train_batches(0))


@pytest.mark.parametrize(("part", "split"), [("test", "test"), ("train", "validation"), ("train", "train")])
def test_scored_images_are_never_left_out(section: dict[str, Any], part: str, split: str) -> None:
    settings = {**section, "validation": {"size": 3}}
    data = opened(settings)
    name = damage(section, part, int(data.splits[split].positions[-1]))
    for batches in (data.eval_batches(split), pixel_batches(data, split)):
        with pytest.raises(ImageError, match=name):
            list(batches)


def test_training_images_that_are_not_scored_may_be(section: dict[str, Any]) -> None:
    """Statistics of batch norm, histograms, the images kept for an export."""
    damage(section, "train", 7)
    data = opened(section)
    for split in ("train", "validation"):
        assert sum(len(labels) for _, labels in data.eval_batches(split, scored=False)) == data.sizes[split]
        assert sum(len(labels) for _, labels in pixel_batches(data, split, scored=False)) == data.sizes[split]
    assert data.take_damaged() == 0  # nothing was trained on
    assert len(data.remarks) == 1
    damage(section, "test", 0)
    with pytest.raises(ImageError):
        list(data.eval_batches("test", scored=False))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_disk_that_does_not_answer_is_no_damaged_image(
    section: dict[str, Any], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def failing(path: Path, _span: object) -> bytes:
        reads.append(path)
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(photo, "_read", failing)
    monkeypatch.setattr(photo, "WAITS", (0.0, 0.0))
    with pytest.raises(DataError, match="tried 3 times"):
        list(opened({**section, "workers": workers}).train_batches(0))
    assert len(reads) == (0 if workers else 3)  # the rest of the batch is not waited for


def test_turned_images_are_counted_once(section: dict[str, Any]) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    folder = Path(section["root"], "train", WNIDS[0])
    stored = np.zeros((40, 30, 3), np.uint8)
    stored[:, 15:] = 255  # dark to the left; upright, dark on top
    Image.fromarray(stored).save(folder / f"{WNIDS[0]}_0.JPEG", exif=exif)
    for setting, told in (("apply", "turned or mirrored so"), ("ignore", "taken as stored")):
        data = opened({**section, "exif": setting})
        for epoch in (0, 1):
            list(data.train_batches(epoch))
        (sentence,) = data.remarks
        assert sentence.startswith("train/: 1 image has an EXIF orientation other than upright: ")
        assert told in sentence
        pixels, _ = next(pixel_batches(data, "train"))
        assert bool((pixels[0, :3] < 60).all()) == (setting == "apply")
        assert bool((pixels[0, :, :3] < 60).all()) == (setting == "ignore")
