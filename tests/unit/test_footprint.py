"""What training holds in memory for each weight, by optimizer; Bop has no latent weights and says so."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bnn_train.cli.dry_run import dry_run
from bnn_train.config.schema import Experiment
from bnn_train.models.build import build
from bnn_train.training.footprint import footprints, told

# bytes a number: itself, its gradient, and what the optimizer keeps
BYTES: list[tuple[str, Any, int]] = [
    ("bnn", {"name": "sgd"}, 8),
    ("bnn", {"name": "sgd", "momentum": 0.9}, 12),
    ("bnn", "adam", 16),
    ("bnn", "adamax", 16),
    ("bnn", "shift_adamax", 16),
    ("ebp", {"name": "ebp"}, 8),
    ("bop", {"name": "adam", "binary": "bop"}, 12),
    ("rsgd", {"name": "adam", "binary": {"name": "rsgd", "replicas": 5}}, 28),
]


def experiment(method: str, optimizer: Any) -> Experiment:
    sections = {"method": method, "model": {"name": "convnet", "width": 4}, "data": "cifar10"}
    return Experiment.model_validate(sections | {"optimizer": optimizer})


@pytest.mark.parametrize(("method", "optimizer", "expected"), BYTES, ids=str)
def test_bytes_a_binary_weight(method: str, optimizer: Any, expected: int) -> None:
    e = experiment(method, optimizer)
    with torch.device("meta"):
        model = build(e.model, e.method, (3, 32, 32), 10)
    found = footprints(model, e.optimizer)["binary"]
    weights = [p for p in model.parameters() if p.dim() > 1]
    assert found.weights == found.gradients == 4 * sum(p.numel() for p in weights)
    assert found.per_number == expected
    assert found.latent is (method != "bop")


def test_bop_on_the_convnet_says_that_no_weight_is_latent() -> None:
    """m, a float, beside each ±1 weight; Adam has two beside each latent one."""
    bop = dry_run(experiment("bop", {"name": "adam", "binary": "bop"}))
    adam = dry_run(experiment("bnn", "adam"))
    [line] = [line for line in bop.splitlines() if line.startswith("training, binary")]
    assert "of ±1 weights, none latent" in line
    assert line.endswith("of optimizer state (m): 12 a weight")
    [line] = [line for line in adam.splitlines() if line.startswith("training, binary")]
    assert "of latent weights" in line
    assert line.endswith("of optimizer state (exp_avg, exp_avg_sq): 16 a weight")


def test_a_real_network_has_one_line() -> None:
    e = experiment("fp", "adam")
    model = build(e.model, e.method, (3, 32, 32), 10)
    assert [line.split(",")[0] for line in told(footprints(model, e.optimizer))] == ["training"]
