"""The real files, where they are: counts and statistics that others have published."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from bnn_train.config.schema import Data
from bnn_train.data.open import open_data
from bnn_train.data.readers import read
from bnn_train.spec.datasets import DATASETS

pytestmark = pytest.mark.data


@pytest.fixture
def root() -> str:
    folder = os.environ.get("BNN_DATA")
    if not folder:
        pytest.skip("BNN_DATA does not name the folder of the data sets")
    return folder


def real(name: str, root: str, file: str) -> Data:
    if not Path(root, file).exists():
        pytest.skip(f"no {file} in {root}")
    return Data.model_validate({"name": name, "root": root})


def test_mnist(root: str) -> None:
    config = real("mnist", root, "MNIST/raw/train-images-idx3-ubyte")
    train, test = read(config, "train"), read(config, "test")
    counts = [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]  # of the digits, LeCun's training set
    assert train.labels.bincount().tolist() == counts
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert (tuple(train.images.shape), tuple(test.images.shape)) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    check_statistics("mnist", train.images)


def test_cifar10(root: str) -> None:
    config = real("cifar10", root, "cifar-10-batches-py/data_batch_1")
    train, test = read(config, "train"), read(config, "test")
    assert train.labels.bincount().tolist() == [5000] * 10
    assert test.labels.bincount().tolist() == [1000] * 10
    assert train.labels[:5].tolist() == [6, 9, 9, 4, 1]  # frog, truck, truck, deer, automobile
    check_statistics("cifar10", train.images)


def check_statistics(name: str, images: torch.Tensor) -> None:
    x = images.transpose(0, 1).flatten(1).float() / 255
    assert x.mean(dim=1).tolist() == pytest.approx(DATASETS[name].mean, abs=6e-5)
    assert x.std(dim=1).tolist() == pytest.approx(DATASETS[name].std, abs=6e-5)


def test_papers_splits(root: str) -> None:
    for name, file, sizes in (
        ("mnist", "MNIST/raw/train-images-idx3-ubyte", (50_000, 10_000, 10_000)),
        ("cifar10", "cifar-10-batches-py/data_batch_1", (45_000, 5_000, 10_000)),
    ):
        data = open_data(real(name, root, file), seed=1, device=torch.device("cpu"))
        assert tuple(data.sizes.values()) == sizes
