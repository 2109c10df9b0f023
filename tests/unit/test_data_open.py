"""Opened data: splits, order, augmentation, continuation, and independence from batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bnn_train.config.schema import Data, PadCropFlip
from bnn_train.data.augment import pad_crop_flip
from bnn_train.data.open import DataBundle, open_data
from bnn_train.data.randomness import permutation
from bnn_train.errors import DataError
from make_data import accept, labels, write_cifar10, write_mnist, write_svhn

CPU = torch.device("cpu")


def opened(section: dict[str, Any], seed: int = 1, **more: Any) -> DataBundle:
    return open_data(Data.model_validate(section), seed=seed, device=CPU, **more)


def raw(section: dict[str, Any]) -> dict[str, Any]:
    """The section with pixels left as they are, 0–255."""
    return {"normalize": [{"name": "mean_std", "mean": [0.0], "std": [1 / 255]}], **section}


def joined(batches: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    pairs = list(batches)
    return (
        torch.cat([images for images, _ in pairs]).numpy(),
        torch.cat([numbers for _, numbers in pairs]).numpy(),
    )


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A section for 50 training and 20 test images, and the pixels in its key ``sets``."""
    sets = write_cifar10(tmp_path)
    accept(monkeypatch, tmp_path, "cifar10")
    section = {"name": "cifar10", "root": str(tmp_path), "batch_size": 8, "validation": {"size": 10}}
    return {"section": raw(section), "sets": sets}


def test_what_a_bundle_says(cifar: dict[str, Any]) -> None:
    data = opened(cifar["section"])
    assert data.classes[:2] == ("airplane", "automobile")
    assert data.shape == (3, 32, 32)
    assert data.sizes == {"train": 40, "validation": 10, "test": 20}
    assert data.batches_per_epoch == 5
    assert len(data.digests) == 6


def test_evaluation_has_every_image_once_in_order(cifar: dict[str, Any]) -> None:
    data, sets = opened(cifar["section"]), cifar["sets"]
    for split, pixels, numbers in (
        ("train", sets["train"][:40], labels(40)),
        ("validation", sets["train"][40:], labels(50)[40:]),
        ("test", sets["test"], labels(20)),
    ):
        for size in (1, 7, 500):
            images, found = joined(data.eval_batches(split, batch_size=size))
            np.testing.assert_allclose(images, pixels, atol=1e-3)
            np.testing.assert_array_equal(found, numbers)
    assert len(joined(data.eval_batches("test", limit=5))[1]) == 5


def test_an_epoch_is_the_permutation(cifar: dict[str, Any]) -> None:
    data = opened(cifar["section"])
    for epoch in (0, 3):
        images, numbers = joined(data.train_batches(epoch))
        order = permutation(1, epoch, 40)
        np.testing.assert_allclose(images, cifar["sets"]["train"][:40][order], atol=1e-3)
        np.testing.assert_array_equal(numbers, labels(40)[order])


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [12, 12, 12]), (False, [12, 12, 12, 4])])
def test_the_last_batch(cifar: dict[str, Any], drop_last: bool, sizes: list[int]) -> None:
    data = opened({**cifar["section"], "batch_size": 12, "drop_last": drop_last})
    assert [len(numbers) for _, numbers in data.train_batches(0)] == sizes
    assert data.batches_per_epoch == len(sizes)


def test_every_split_is_normalized_alike(cifar: dict[str, Any]) -> None:
    data = opened({**cifar["section"], "normalize": ["signed"]})
    for split, pixels in (("train", cifar["sets"]["train"][:40]), ("test", cifar["sets"]["test"])):
        images, _ = joined(data.eval_batches(split))
        np.testing.assert_allclose(images, pixels / 127.5 - 1, atol=1e-6)
    images, _ = joined(data.train_batches(0))
    expected = cifar["sets"]["train"][:40][permutation(1, 0, 40)] / 127.5 - 1
    np.testing.assert_allclose(images, expected, atol=1e-6)


def test_augmentation_by_sample(cifar: dict[str, Any]) -> None:
    data = opened({**cifar["section"], "augment": ["pad_crop_flip"]})
    order = permutation(1, 2, 40)
    pixels = torch.from_numpy(cifar["sets"]["train"][:40][order])
    step = PadCropFlip(name="pad_crop_flip")
    expected = pad_crop_flip(pixels, step, seed=1, epoch=2, ids=order).numpy()
    np.testing.assert_allclose(joined(data.train_batches(2))[0], expected, atol=1e-3)
    np.testing.assert_allclose(joined(data.eval_batches("test"))[0], cifar["sets"]["test"], atol=1e-3)


def test_a_second_augmentation_has_draws_of_its_own(cifar: dict[str, Any]) -> None:
    data = opened({**cifar["section"], "augment": ["pad_crop_flip", {"name": "pad_crop_flip", "pad": 2}]})
    order = permutation(1, 0, 40)
    once = torch.from_numpy(cifar["sets"]["train"][:40][order])
    for first_draw, pad in ((0, 4), (64, 2)):
        step = PadCropFlip(name="pad_crop_flip", pad=pad)
        once = pad_crop_flip(once, step, seed=1, epoch=0, ids=order, first_draw=first_draw)
    np.testing.assert_allclose(joined(data.train_batches(0))[0], once.numpy(), atol=1e-3)


@pytest.mark.parametrize("take", ["last", "random", "balanced"])
def test_no_validation_image_ever_trains(cifar: dict[str, Any], take: str) -> None:
    data = opened({**cifar["section"], "validation": {"size": 10, "take": take}})
    every = {image.tobytes() for image in cifar["sets"]["train"]}
    held = _pixels(data.eval_batches("validation"))
    assert (len(every), len(held)) == (50, 10)
    for epoch in range(3):
        assert _pixels(data.train_batches(epoch)) == every - held
    assert _pixels(data.eval_batches("train")) == every - held


def _pixels(batches: Any) -> set[bytes]:
    return {np.rint(image).astype(np.uint8).tobytes() for image in joined(batches)[0]}


@pytest.mark.parametrize("normalize", [["mean_std"], ["pixel_mean"], ["gcn", "lcn"]])
def test_continuing_within_an_epoch(cifar: dict[str, Any], normalize: list[str]) -> None:
    section = {**cifar["section"], "augment": ["pad_crop_flip"], "normalize": normalize}
    whole = list(opened(section).train_batches(1))
    for skip in (0, 3, 5):
        rest = list(opened(section).train_batches(1, skip=skip))
        assert len(rest) == 5 - skip
        for (images, numbers), (others, other_numbers) in zip(whole[skip:], rest, strict=True):
            assert torch.equal(images, others)
            assert torch.equal(numbers, other_numbers)


def test_the_seed_matters(cifar: dict[str, Any]) -> None:
    first, second = (joined(opened(cifar["section"], seed=seed).train_batches(0))[0] for seed in (1, 2))
    assert not np.array_equal(first, second)


def test_statistics_are_those_of_the_whole_training_file(cifar: dict[str, Any]) -> None:
    data = opened({**cifar["section"], "normalize": ["pixel_mean"], "train_limit": 9})
    mean = (cifar["sets"]["train"] / 255.0).mean(axis=0)
    np.testing.assert_allclose(data.normalizer.state()["0.mean"].numpy(), mean, atol=1e-6)


def test_a_test_alone_from_stored_statistics(cifar: dict[str, Any]) -> None:
    section = {**cifar["section"], "normalize": ["pixel_mean"]}
    whole = opened(section)
    for file in Path(section["root"]).rglob("data_batch_*"):
        file.unlink()
    alone = opened(section, splits=("test",), preprocess=whole.normalizer.state())
    assert alone.sizes == {"test": 20}
    assert alone.batches_per_epoch == 0
    assert np.array_equal(joined(alone.eval_batches("test"))[0], joined(whole.eval_batches("test"))[0])


def test_statistics_are_read_where_they_must_be(cifar: dict[str, Any]) -> None:
    fitted = opened({**cifar["section"], "normalize": ["pixel_mean"]}, splits=("test",))
    assert fitted.sizes == {"test": 20}
    assert "0.mean" in fitted.normalizer.state()


def test_limits(cifar: dict[str, Any]) -> None:
    data = opened({**cifar["section"], "train_limit": 16, "test_limit": 6})
    assert data.sizes == {"train": 16, "validation": 10, "test": 6}
    assert sorted(joined(data.train_batches(0))[1].tolist()) == sorted(labels(16).tolist())


def test_too_large_a_batch(cifar: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"data\.batch_size: 41 is more than the 40 training images"):
        opened({**cifar["section"], "batch_size": 41})
    assert opened({**cifar["section"], "batch_size": 41, "drop_last": False}).batches_per_epoch == 1


def test_folder_augmentation_of_small_images(cifar: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="cifar10 knows no crop but pad_crop_flip"):
        opened({**cifar["section"], "augment": ["random_resized_crop"]})


def test_another_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = write_mnist(tmp_path)
    accept(monkeypatch, tmp_path, "mnist")
    section = {"name": "mnist", "root": str(tmp_path), "validation": {"size": 5}, "batch_size": 5}
    data = opened(raw({**section, "image_size": 14}))
    assert data.shape == (1, 14, 14)
    images, _ = joined(data.eval_batches("test"))
    assert images.shape == (20, 1, 14, 14)
    # Halving with an antialiased triangle: weights (1, 3, 3, 1)/8 along each axis, here inside the border.
    weights = np.array([1, 3, 3, 1]) / 8
    patch = sets["test"][:, 0, 5:9, 9:13]
    expected = np.rint(np.einsum("nij,i,j->n", patch, weights, weights))
    np.testing.assert_allclose(images[:, 0, 3, 5], expected, atol=1.001e-0)
    assert np.abs(images[:, 0, 3, 5] - expected).mean() < 0.2
    assert np.abs(images - np.rint(images)).max() < 1e-3  # pixels again, not reals


def test_svhn_with_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = write_svhn(tmp_path)
    accept(monkeypatch, tmp_path, "svhn")
    section = {
        "name": "svhn",
        "root": str(tmp_path),
        "extra": True,
        "validation": {"size": 30},
        "batch_size": 10,
    }
    data = opened(raw(section))
    assert data.sizes == {"train": 90, "validation": 30, "test": 20}
    images, numbers = joined(data.eval_batches("validation"))
    assert np.bincount(numbers).tolist() == [3] * 10
    np.testing.assert_allclose(images[:20], sets["train"][:20], atol=1e-3)
    np.testing.assert_allclose(images[20:], sets["extra"][:10], atol=1e-3)
    assert set(data.digests) == {"train_32x32.mat", "extra_32x32.mat", "test_32x32.mat"}


def test_digits_and_synthetic_need_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digits = opened({"name": "digits"})
    assert digits.sizes == {"train": 1097, "validation": 200, "test": 500}
    synthetic = opened({"name": "synthetic", "shape": [1, 8, 8], "num_classes": 4, "batch_size": 32})
    assert synthetic.sizes == {"train": 384, "validation": 128, "test": 256}
    assert synthetic.classes == ("0", "1", "2", "3")
    assert not list(tmp_path.iterdir())


def test_batches_are_float_and_channels_last(cifar: dict[str, Any]) -> None:
    images, numbers = next(opened(cifar["section"]).train_batches(0))
    assert (images.dtype, numbers.dtype) == (torch.float32, torch.int64)
    assert images.is_contiguous(memory_format=torch.channels_last)
