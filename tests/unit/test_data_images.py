"""An image folder through worker processes: the same batches however they are made."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bnn_train.config.schema import Data, RandomResizedCrop
from bnn_train.data import loader
from bnn_train.data.decode import Draws, for_evaluation, for_training
from bnn_train.data.folder import list_images
from bnn_train.data.open import DataBundle, open_data
from bnn_train.data.randomness import permutation
from bnn_train.errors import DataError
from bnn_train.packed.photo import Photo, read_photo
from make_data import WNIDS, write_imagenet

RAW = [{"name": "mean_std", "mean": [0.0], "std": [1 / 255]}]


@pytest.fixture
def section(tmp_path: Path) -> dict[str, Any]:
    write_imagenet(tmp_path)
    return {
        "name": "imagenet",
        "root": str(tmp_path),
        "image_size": 14,
        "batch_size": 4,
        "eval_batch_size": 5,
        "augment": ["random_resized_crop"],
        "normalize": RAW,
        "workers": 0,
    }


def opened(section: dict[str, Any], **more: Any) -> DataBundle:
    return open_data(Data.model_validate(section), seed=1, device=torch.device("cpu"), **more)


def all_of(data: DataBundle) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [*data.train_batches(0), *data.train_batches(1, skip=1), *data.eval_batches("test")]


def equal(
    first: list[tuple[torch.Tensor, torch.Tensor]], second: list[tuple[torch.Tensor, torch.Tensor]]
) -> bool:
    return all(torch.equal(a, b) and torch.equal(x, y) for (a, x), (b, y) in zip(first, second, strict=True))


def test_training_batches_by_hand(section: dict[str, Any]) -> None:
    data = opened(section)
    assert (data.sizes, data.classes, data.shape) == (
        {"train": 12, "validation": 0, "test": 6},
        WNIDS[:3],
        (3, 14, 14),
    )
    listing = list_images(data.config, "train")
    order = permutation(1, 5, 12)
    images = torch.cat([images for images, _ in data.train_batches(5)]).numpy()
    step = RandomResizedCrop(name="random_resized_crop")
    for image, index in zip(images, order, strict=True):
        picture = for_training(
            read_photo(listing.path(int(index)), "RGB").image, 14, step, Draws(1, 5, int(index))
        )
        np.testing.assert_allclose(image, picture.transpose(2, 0, 1), atol=1e-3)
    numbers = torch.cat([numbers for _, numbers in data.train_batches(5)])
    assert numbers.tolist() == listing.labels[order].tolist()


def test_evaluation_by_hand(section: dict[str, Any]) -> None:
    data = opened(section)
    listing = list_images(data.config, "test")
    images = torch.cat([images for images, _ in data.eval_batches("test")]).numpy()
    assert len(images) == 6
    for index, image in enumerate(images):
        picture = for_evaluation(read_photo(listing.path(index), "RGB").image, 14, 16)  # 14 · 256/224 = 16
        np.testing.assert_allclose(image, picture.transpose(2, 0, 1), atol=1e-3)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(section: dict[str, Any], workers: int) -> None:
    assert equal(all_of(opened(section)), all_of(opened({**section, "workers": workers})))


@pytest.fixture
def spawn() -> Iterator[None]:
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.mark.usefixtures("spawn")
def test_spawned_workers(section: dict[str, Any]) -> None:
    own, other = opened(section), opened({**section, "workers": 1})
    assert equal(list(own.eval_batches("test")), list(other.eval_batches("test")))


def test_skipped_batches_are_not_decoded(section: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counting(path: Path, *args: Any, **more: Any) -> Photo:
        read.append(path)
        return read_photo(path, *args, **more)

    monkeypatch.setattr(loader, "read_photo", counting)
    data = opened(section)
    assert not read
    assert len(list(data.train_batches(0, skip=2))) == 1
    assert len(read) == 4


def test_validation_from_train_without_augmentation(section: dict[str, Any]) -> None:
    data = opened({**section, "validation": {"size": 3, "take": "balanced"}})
    assert data.sizes == {"train": 9, "validation": 3, "test": 6}
    listing = list_images(data.config, "train")
    images, numbers = next(data.eval_batches("validation"))
    assert numbers.tolist() == [0, 1, 2]
    picture = for_evaluation(read_photo(listing.path(0), "RGB").image, 14, 16)
    np.testing.assert_allclose(images[0].numpy(), picture.transpose(2, 0, 1), atol=1e-3)


def test_limits_keep_all_classes(section: dict[str, Any]) -> None:
    data = opened({**section, "train_limit": 6, "test_limit": 3})
    assert data.sizes == {"train": 6, "validation": 0, "test": 3}
    assert torch.cat([numbers for _, numbers in data.eval_batches("train")]).bincount().tolist() == [2, 2, 2]


def test_a_test_alone_needs_no_training_images(section: dict[str, Any]) -> None:
    state = opened(section).normalizer.state()
    Path(section["root"], "train").rename(Path(section["root"], "elsewhere"))
    assert opened(section, splits=("test",), preprocess=state).sizes == {"test": 6}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_image_is_named(section: dict[str, Any], workers: int) -> None:
    path = Path(section["root"], "val", WNIDS[1], f"{WNIDS[1]}_1.JPEG")
    path.write_bytes(path.read_bytes()[:-200])
    data = opened({**section, "workers": workers})
    with pytest.raises(DataError) as raised:
        list(data.eval_batches("test"))
    assert str(raised.value).startswith(f"{path}: not a readable image (")
    assert "\n" not in str(raised.value)


def test_a_killed_worker_is_told(section: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "read_photo", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(DataError, match=r"decoding in 1 worker processes failed .* lower data\.workers"):
        list(opened({**section, "workers": 1}).eval_batches("test"))


def test_signals_spare_the_workers(section: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def after_signals(path: Path, *args: Any, **more: Any) -> Photo:
        if not Path(section["root"], "first").exists():
            Path(section["root"], "first").touch()
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
        return read_photo(path, *args, **more)

    monkeypatch.setattr(loader, "read_photo", after_signals)
    data = opened({**section, "workers": 1})
    assert sum(len(numbers) for _, numbers in data.eval_batches("test")) == 6


def test_batches_held_to_the_end_let_the_process_end(section: dict[str, Any]) -> None:
    code = (
        "import json, sys, torch\n"
        "from bnn_train.config.schema import Data\n"
        "from bnn_train.data.open import open_data\n"
        "config = Data.model_validate(json.loads(sys.argv[1]))\n"
        "held = open_data(config, seed=1, device=torch.device('cpu')).train_batches(0)\n"
        "print(len(next(held)[1]))"
    )
    command = [sys.executable, "-c", code, json.dumps({**section, "workers": 1})]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr, result.returncode) == ("4\n", "", 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"augment": ["random_resized_crop", "resize_crop"]}, "takes one of"),
        ({"augment": ["pad_crop_flip"]}, "takes one of"),
        ({"resize": 13}, r"data\.resize is 13, less than the model's input of 14 pixels"),
        ({"augment": [{"name": "resize_crop", "min_side": 8, "max_side": 20}]}, "min_side is 8, less than"),
        ({"augment": [{"name": "resize_crop", "min_side": 20, "max_side": 19}]}, "max_side 19 is less than"),
        ({"normalize": ["pixel_mean"]}, "for image folders use mean_std"),
        ({"num_classes": 1000}, r"3 classes, but data\.num_classes is 1000"),
        ({"batch_size": 13}, "more than the 12 training images"),
    ],
)
def test_settings_that_cannot_work(section: dict[str, Any], change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        opened({**section, **change})


def test_other_classes_in_val(section: dict[str, Any]) -> None:
    Path(section["root"], "val", WNIDS[0]).rename(Path(section["root"], "val", "zebra"))
    with pytest.raises(DataError, match=f"lacks {WNIDS[0]} and has zebra"):
        opened(section)


def children() -> set[int | None]:
    return {process.pid for process in multiprocessing.active_children()}


def test_workers_stay_from_epoch_to_epoch(section: dict[str, Any]) -> None:
    own, data = opened(section), opened({**section, "workers": 2})
    before = children()
    first = list(data.train_batches(0))
    workers = children() - before
    assert len(workers) == 2
    next(data.train_batches(1))  # given up after a batch
    second = list(data.train_batches(2))
    assert children() - before == workers
    assert equal(first, list(own.train_batches(0)))
    assert equal(second, list(own.train_batches(2)))
    side_by_side = zip(data.train_batches(3), data.train_batches(4), strict=True)
    assert [[b[1].tolist() for b in pair] for pair in side_by_side] == [
        [a[1].tolist(), b[1].tolist()]
        for a, b in zip(own.train_batches(3), own.train_batches(4), strict=True)
    ]
    del data
    assert not children() - before


def test_a_killed_worker_is_replaced_in_the_next_epoch(section: dict[str, Any]) -> None:
    data, before = opened({**section, "workers": 1}), children()
    list(data.train_batches(0))
    (worker,) = children() - before
    os.kill(worker or 0, signal.SIGKILL)
    with pytest.raises(DataError, match="decoding in 1 worker processes failed"):
        list(data.train_batches(1))
    assert equal(list(data.train_batches(1)), list(opened(section).train_batches(1)))
