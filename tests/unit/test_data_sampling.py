"""The images that an epoch trains on: passes, cut ones, and draws with replacement that balance classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bnn_train.config.schema import Data
from bnn_train.data.bundle import DataBundle
from bnn_train.data.open import open_data
from bnn_train.data.randomness import balanced


def opened(**keys: Any) -> DataBundle:
    section = {"name": "synthetic", "shape": [1, 4, 4], "num_classes": 4, "batch_size": 16, **keys}
    return open_data(Data.model_validate(section), seed=1, device=torch.device("cpu"))


def labels(data: DataBundle, epoch: int, skip: int = 0) -> list[int]:
    return [int(label) for _, batch in data.train_batches(epoch, skip=skip) for label in batch]


def test_classes_are_drawn_evenly_however_rare() -> None:
    skewed = np.array([0] * 900 + [1] * 90 + [2] * 10)
    drawn = balanced(1, 0, skewed, 30_000)
    shares = np.bincount(skewed[drawn]) / 30_000
    np.testing.assert_allclose(shares, 1 / 3, atol=0.01)
    of_rare = np.bincount(drawn[drawn >= 990], minlength=1000)[990:]
    np.testing.assert_allclose(of_rare / of_rare.sum(), 0.1, atol=0.01)  # each image of a class alike


def test_draws_are_a_function_of_seed_and_epoch_and_a_longer_epoch_begins_alike() -> None:
    numbers = np.arange(100) % 5
    first = balanced(1, 0, numbers, 50)
    np.testing.assert_array_equal(first, balanced(1, 0, numbers, 80)[:50])
    assert not np.array_equal(first, balanced(1, 1, numbers, 50))
    assert not np.array_equal(first, balanced(2, 0, numbers, 50))
    assert len(np.unique(first)) < 50  # with replacement


def test_a_class_without_images_is_no_class() -> None:
    assert set(balanced(1, 0, np.array([3, 3, 7]), 100)) == {0, 1, 2}


@pytest.mark.parametrize(
    ("keys", "batches"),
    [
        ({}, 24),
        ({"batches_per_epoch": 5}, 5),
        ({"batches_per_epoch": 50}, 24),
        ({"sampling": "balanced"}, 24),
        ({"sampling": "balanced", "batches_per_epoch": 50}, 50),
    ],
)
def test_batches_of_an_epoch(keys: dict[str, Any], batches: int) -> None:
    data = opened(**keys)  # 384 training images
    assert data.batches_per_epoch == batches
    assert len(labels(data, 0)) == batches * 16


def test_a_cut_epoch_is_the_beginning_of_the_whole_one() -> None:
    assert labels(opened(batches_per_epoch=5), 3) == labels(opened(), 3)[: 5 * 16]


def test_balanced_batches_can_be_skipped() -> None:
    data = opened(sampling="balanced", batches_per_epoch=10)
    assert labels(data, 2, skip=4) == labels(data, 2)[4 * 16 :]


def test_no_whole_batch_is_still_an_error() -> None:
    assert opened(batch_size=384, sampling="balanced", batches_per_epoch=2).batches_per_epoch == 2
