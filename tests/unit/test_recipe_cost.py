"""scripts/recipe_cost.py: how many images a recipe shows, and a table of what that takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import recipe_cost
from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.data.open import open_data

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("config", "images"),
    [
        ("mnist/bnn_mlp", 50 * 50_000),  # 10,000 held out
        ("cifar10/xnor_resnet20", 400 * 390 * 128),  # none held out; the last 80 dropped
        ("svhn/bc_convnet", 200 * 598_350),  # with the extra images, 6,000 held out; the last 38 dropped
        ("imagenet/xnor_alexnet", 55 * 1601 * 800),  # as many draws as images
    ],
)
def test_images_of_a_recipe(config: str, images: int) -> None:
    assert recipe_cost.images_of(load(ROOT / f"configs/{config}.yaml")) == images


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"train_limit": 50},
        {"train_limit": 50, "drop_last": False},
        {"train_limit": 400, "batches_per_epoch": 3},
        {"train_limit": 40, "batches_per_epoch": 30},
        {"train_limit": 40, "batches_per_epoch": 4, "sampling": "balanced"},
        {"validation": {"size": 500}, "batch_size": 8},
    ],
    ids=str,
)
def test_images_are_counted_as_a_run_shows_them(section: dict[str, Any]) -> None:
    """Caps on the data included: against the batches of an epoch."""
    data = {"name": "synthetic", "batch_size": 16, "validation": {"size": 100}, **section}
    e = Experiment.model_validate({"method": "bnn", "model": "mlp", "data": data, "training": {"epochs": 3}})
    opened = open_data(e.data, seed=1, device=torch.device("cpu"))
    shown = sum(len(labels) for _, labels in opened.train_batches(0))
    assert recipe_cost.images_of(e) == 3 * shown


def test_a_row_for_each_config(capsys: pytest.CaptureFixture[str]) -> None:
    config = ROOT / "configs/quickstart.yaml"
    assert recipe_cost.main([str(config), "--steps", "1", "--batch", "4", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.count("|") for line in lines] == [7, 7, 7]
    assert f"`{config}` | 4 |" in lines[2]


def test_a_config_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert recipe_cost.main(["none.yaml"]) == 2
    assert "none.yaml: no such file" in capsys.readouterr().err
