"""Shapes and class counts from the config alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bnn_train.config.schema import Data
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.inputs import input_shape, num_classes


@pytest.mark.parametrize(
    ("section", "shape", "classes"),
    [
        ({"name": "mnist"}, (1, 28, 28), 10),
        ({"name": "mnist", "image_size": 32}, (1, 32, 32), 10),
        ({"name": "cifar10"}, (3, 32, 32), 10),
        ({"name": "svhn"}, (3, 32, 32), 10),
        ({"name": "imagenet"}, (3, 224, 224), 1000),
        ({"name": "imagenet", "image_size": 128, "num_classes": 7}, (3, 128, 128), 7),
        ({"name": "digits"}, (1, 8, 8), 10),
        ({"name": "folder", "size": 48, "channels": 1}, (1, 48, 48), 10),
        ({"name": "emnist_letters"}, (1, 28, 28), 26),
        ({"name": "cifar100"}, (3, 32, 32), 100),
        ({"name": "synthetic", "shape": (2, 5, 6), "num_classes": 3}, (2, 5, 6), 3),
    ],
)
def test_shape_and_classes(section: dict[str, object], shape: tuple[int, int, int], classes: int) -> None:
    config = Data.model_validate(section)
    assert (input_shape(config), num_classes(config)) == (shape, classes)


def test_the_rows_agree_with_themselves() -> None:
    for name, row in DATASETS.items():
        assert name == row.name
        assert len(row.mean) == len(row.std)
        assert len(row.mean) in (0, 1, row.shape[0])
        assert len(row.classes) in (0, row.num_classes)
        assert len(set(row.classes)) == len(row.classes)
        assert row.validation < row.train or row.own


def test_without_torch() -> None:
    code = "import sys; from bnn_train.data import files, folder; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
