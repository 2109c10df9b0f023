"""Replicated SGD against its update in numpy: whose turn it is, what the parameter is between steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryLinear
from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping
from bnn_train.spec.annealed import Curve, Position, number_at
from bnn_train.spec.method import LatentSpec
from bnn_train.spec.methods import METHODS
from bnn_train.training.optimizers.rsgd import ReplicatedSGD
from bnn_train.training.setup import build_learner
from bnn_train.training.step import Kept, training_step
from tiny import tiny

COUPLING = Curve.model_validate({"from": 0.25, "to": 4.0, "curve": "exponential"})
CPU = torch.device("cpu")


def test_the_update_is_its_formula() -> None:
    start = np.random.default_rng(0).normal(size=(3, 4))
    w = nn.Parameter(torch.from_numpy(start.copy()))
    made = ReplicatedSGD([w], replicas=3, coupling=COUPLING)
    made.param_groups[0]["lr"] = 0.1
    replicas = [start.copy() for _ in range(3)]
    for step in range(10):
        position = Position(step=step, epoch=float(step), epochs=10)
        made.lend(position)
        turn, centre = step % 3, np.mean(replicas, axis=0)
        np.testing.assert_allclose(w.detach(), replicas[turn], rtol=1e-12)
        w.grad = torch.cos(w.detach() * 3)
        g = np.cos(replicas[turn] * 3)
        made.step()
        made.settle()
        pull = number_at(COUPLING, position) * (replicas[turn] - centre)
        replicas[turn] = replicas[turn] - 0.1 * (g + pull)
        np.testing.assert_allclose(w.detach(), np.mean(replicas, axis=0), rtol=1e-12)


def learner_of(tmp_path: Path, **changes: Any) -> tuple[Any, nn.Sequential]:
    experiment = tiny(
        tmp_path, method="rsgd", optimizer={"name": "sgd", "lr": 0.5, "binary": "rsgd"}, **changes
    )
    row = METHODS["rsgd"].model_copy(update={"latent": LatentSpec(init="uniform", clip=1.0)})
    model = nn.Sequential(nn.Flatten(), BinaryLinear(36, 4, method=row, role="body"))
    return build_learner(experiment, model, CPU), model


def weight_of(model: nn.Sequential) -> Tensor:
    layer = model[1]
    assert isinstance(layer, BinaryLinear)
    return layer.weight


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(8, 1, 6, 6), torch.arange(8) % 4


def test_a_step_ends_at_the_centre_of_clipped_replicas(tmp_path: Path) -> None:
    learner, model = learner_of(tmp_path)
    learner.optimizers.set_rate(3.0, 0)
    for step in range(6):
        training_step(learner, Kept(model), [batch()], position=Position(step=step), clip=None)
    state = learner.optimizers.binary.state[weight_of(model)]
    copies = torch.stack([state[f"replica_{a}"] for a in range(3)])
    assert torch.equal(weight_of(model), copies.mean(dim=0))
    assert copies.abs().max() == 1
    assert not torch.equal(copies[0], copies[1])


def test_a_step_that_breaks_off_leaves_the_centre(tmp_path: Path) -> None:
    learner, model = learner_of(tmp_path)
    learner.optimizers.set_rate(0.5, 0)
    training_step(learner, Kept(model), [batch()], position=Position(), clip=None)
    before = weight_of(model).detach().clone()
    with pytest.raises(RuntimeError):
        training_step(
            learner, Kept(model), [(torch.randn(8, 5), batch()[1])], position=Position(step=1), clip=None
        )
    assert torch.equal(weight_of(model), before)


def found(**sections: Any) -> dict[str, str]:
    base = {"method": "bnn", "model": "mlp", "data": "mnist"}
    return {".".join(map(str, p)): told for p, told in problems(from_mapping(base | sections))}


def test_what_belongs_together() -> None:
    rsgd = {"name": "sgd", "binary": "rsgd"}
    assert found(method="rsgd", optimizer=rsgd) == found(optimizer=rsgd) == {}
    assert "is bnn trained by rsgd" in found(method="rsgd")["optimizer.binary"]
    assert "there are none" in found(method="fp", optimizer=rsgd)["optimizer.binary"]
    assert "rsgd moves latent weights" in found(method="bop", optimizer=rsgd)["optimizer.binary"]
