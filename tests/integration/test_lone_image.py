"""A training batch of one image: answered before the first step where a batch norm cannot take it, trained
where it can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bnn_train.cli.train import main as train
from bnn_train.config.merge import merge
from tiny import TINY
from tiny_yaml import refused, write_config

MAPS = {"model": {"name": "resnet20", "width": 2}, "data": {"shape": [3, 8, 8]}, "loss": "cross_entropy"}
"""Batch norms over maps of more than one pixel, and none over features."""

LONE: dict[str, dict[str, Any]] = {
    "a remainder": {"data": {"train_limit": 33, "drop_last": False}},
    "batches of one": {"data": {"batch_size": 1, "train_limit": 6}},
    "the last of a step of several batches": {
        "data": {"train_limit": 33, "drop_last": False},
        "training": {"accumulate": 2},
    },
    "as many batches as there are": {"data": {"train_limit": 33, "drop_last": False, "batches_per_epoch": 3}},
    "fewer images than a batch": {"data": {"train_limit": 1, "drop_last": False}},
    "the network of stochastic weights": {
        "method": "bc_stochastic",
        "data": {"train_limit": 48, "eval_batch_size": 47},
    },
}
FINE: dict[str, dict[str, Any]] = {
    "left out": {"data": {"train_limit": 33}},
    "an epoch that ends before": {"data": {"train_limit": 33, "drop_last": False, "batches_per_epoch": 2}},
    "drawn with replacement": {"data": {"train_limit": 33, "drop_last": False, "sampling": "balanced"}},
    "a remainder of two": {"data": {"train_limit": 34, "drop_last": False}},
    "validation and test": {"data": {"validation": {"size": 1}, "test_limit": 1, "eval_batch_size": 1}},
    "larger maps": {"data": {"train_limit": 33, "drop_last": False}, "method": "xnor", **MAPS}
    | {"data": {"train_limit": 33, "drop_last": False, "shape": [3, 8, 8]}},
    "batches of one, larger maps": {"method": "xnor", **MAPS}
    | {"data": {"batch_size": 1, "train_limit": 4, "shape": [3, 8, 8]}},
    "shift-based norms": {
        "method": {"name": "bnn", "norm": {"kind": "shift"}, "block": {"output_norm": False}},
        "data": {"train_limit": 33, "drop_last": False},
        "loss": "cross_entropy",
    },
}


def written(workdir: Path, changes: dict[str, Any]) -> list[str]:
    write_config(workdir, **merge(merge(TINY, {"training": {"epochs": 1}}), changes))
    return ["--config", "t.yaml", "--set", "run.dir=run"]


@pytest.mark.parametrize("name", LONE)
def test_refused_before_the_first_step(name: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = written(workdir, LONE[name])
    said = refused(arguments, capsys)
    assert "one value per channel" in said
    assert any(key in said for key in ("data.drop_last", "data.batch_size", "data.eval_batch_size"))
    assert refused([*arguments, "--check"], capsys) == said


@pytest.mark.parametrize("name", FINE)
def test_trained(name: str, workdir: Path) -> None:
    assert train(written(workdir, FINE[name])) == 0
