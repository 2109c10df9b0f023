"""The images that are held out, and those that a limit keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnn_train.config.schema import Data
from bnn_train.data.randomness import permutation
from bnn_train.data.splits import first_by_class, hold_out
from bnn_train.errors import DataError


def config(name: str, **validation: Any) -> Data:
    return Data.model_validate({"name": name, "validation": validation})


@pytest.mark.parametrize(("name", "count", "held"), [("mnist", 60_000, 10_000), ("cifar10", 50_000, 5_000)])
def test_the_last_ones_of_mnist_and_cifar10(name: str, count: int, held: int) -> None:
    train, validation = hold_out(config(name), [np.zeros(count, dtype=np.int64)], seed=1)
    assert train.tolist() == list(range(count - held))
    assert validation.tolist() == list(range(count - held, count))


def test_svhn_takes_400_of_train_and_200_of_extra_per_class() -> None:
    rng = np.random.default_rng(0)
    train_labels, extra_labels = rng.integers(0, 10, 73_257), rng.integers(0, 10, 531_131)
    train, validation = hold_out(config("svhn"), [train_labels, extra_labels], seed=1)
    assert (len(train), len(validation)) == (598_388, 6_000)
    of_train, of_extra = validation[validation < 73_257], validation[validation >= 73_257] - 73_257
    assert np.bincount(train_labels[of_train]).tolist() == [400] * 10
    assert np.bincount(extra_labels[of_extra]).tolist() == [200] * 10
    assert not set(train.tolist()) & set(validation.tolist())


def test_svhn_without_extra() -> None:
    labels = np.random.default_rng(0).integers(0, 10, 73_257)
    train, validation = hold_out(config("svhn"), [labels], seed=1)
    assert len(train) == 67_257
    firsts = [np.flatnonzero(labels == c)[:600] for c in range(10)]
    assert validation.tolist() == sorted(np.concatenate(firsts))
    assert validation.tolist() == hold_out(config("svhn"), [labels], seed=2)[1].tolist()


def test_random_depends_on_the_seed_alone() -> None:
    labels = np.zeros(1000, dtype=np.int64)
    splits = [hold_out(config("digits", size=200), [labels], seed)[1].tolist() for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]
    assert len(set(splits[0])) == 200
    assert splits[0] != sorted(permutation(1, 0, 1000)[:200])  # not those that an epoch has first
    assert abs(np.mean(splits[0]) - 500) < 100


def test_balanced() -> None:
    labels = np.array([0] * 10 + [1] * 5 + [2] * 3)
    train, validation = hold_out(config("mnist", size=7, take="balanced"), [labels], seed=1)
    assert np.bincount(labels[validation]).tolist() == [3, 2, 2]
    assert sorted([*train, *validation]) == list(range(18))


def test_too_few_of_a_class() -> None:
    labels = np.array([0] * 10 + [1] * 2)
    with pytest.raises(DataError, match=r"validation\.size: 8 images .* smallest has 2 images"):
        hold_out(config("mnist", size=8, take="balanced"), [labels], seed=1)


def test_nothing_left_to_train() -> None:
    with pytest.raises(DataError, match=r"validation\.size: 10000 images to hold out of 40"):
        hold_out(config("mnist"), [np.zeros(40, dtype=np.int64)], seed=1)


def test_none_held_out() -> None:
    train, validation = hold_out(config("mnist", size=0), [np.zeros(4, dtype=np.int64)], seed=1)
    assert (train.tolist(), validation.tolist()) == ([0, 1, 2, 3], [])


def test_a_limit_keeps_all_classes_of_a_sorted_listing() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    assert first_by_class(np.arange(9), labels, 4).tolist() == [0, 1, 3, 6]
    assert first_by_class(np.array([1, 2, 4, 7, 8]), labels, 3).tolist() == [1, 4, 7]
    assert first_by_class(np.arange(9), labels, None).tolist() == list(range(9))
