"""RAdam, and an Adam of the latent binary weights alone beside the optimizer of the rest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from bnn_train.binary.layers import binary_layers
from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping
from bnn_train.config.schema import Optimizer
from bnn_train.training.optimizers import Optimizers
from unit.test_optimizers import network, one_step, values

SECTION: TypeAdapter[Optimizer] = TypeAdapter(Optimizer)
KINDS = {"name": "sgd", "lr": 0.1, "momentum": 0.9, "binary": {"name": "adam", "lr": 0.01}}


def test_radam() -> None:
    """arXiv 1908.03265, algorithm 2: plain momentum until ρ exceeds 5, then rectified steps."""
    model = network("fp")
    w = values(model)["linear2.weight"].astype(np.float64)
    beta1, beta2, lr, eps = 0.9, 0.99, 0.02, 1e-8
    grads = one_step(model, {"name": "radam", "betas": [beta1, beta2]}, lr=lr, steps=8)
    m, v = np.zeros_like(w), np.zeros_like(w)
    longest = 2 / (1 - beta2) - 1
    rectified = []
    for t, step in enumerate(grads, start=1):
        g = step["linear2.weight"].astype(np.float64)
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        rho = longest - 2 * t * beta2**t / (1 - beta2**t)
        rectified.append(rho > 5)
        update = m / (1 - beta1**t)
        if rho > 5:
            r = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
            update *= math.sqrt(r) * np.sqrt(1 - beta2**t) / (np.sqrt(v) + eps)
        w = w - lr * update
    assert len(set(rectified)) == 2
    np.testing.assert_allclose(values(model)["linear2.weight"], w, atol=2e-6)


def test_radam_has_a_second_moment() -> None:
    model = network("bc")
    optimizers = Optimizers(model, SECTION.validate_python({"name": "radam"}))
    parameter = model.get_submodule("linear2").weight
    assert isinstance(parameter, nn.Parameter)
    assert optimizers.second_moment(parameter) is None
    model(torch.ones(2, 8)).square().sum().backward()
    assert parameter.grad is not None
    optimizers.step(torch.amp.GradScaler("cpu", enabled=False))
    found = optimizers.second_moment(parameter)
    assert found is not None
    torch.testing.assert_close(found.float(), parameter.grad.square(), rtol=1e-4, atol=1e-12)


def test_each_kind_of_weight_has_its_own_step() -> None:
    """Latent weights move by Adam's first step, ±rate; all others by the gradient times SGD's."""
    model = network("dorefa")
    before = values(model)
    [grads] = one_step(model, KINDS, lr=0.05)  # half of SGD's rate: so Adam's is half of its own, too
    for name, layer in binary_layers(model):
        g = grads[f"{name}.weight"].astype(np.float64)
        step = 0.005 * g / (np.abs(g) + 1e-8)
        np.testing.assert_allclose(layer.weight.detach().numpy(), before[f"{name}.weight"] - step, atol=1e-6)
    g = grads["linear1.weight"]
    np.testing.assert_allclose(
        values(model)["linear1.weight"], before["linear1.weight"] - 0.05 * g, atol=1e-7
    )


def test_rates_decays_and_factors_of_the_second() -> None:
    """The factor on a layer's rate is Adam's, not squared as SGD's; the decay is that of binary weights."""
    model = network("bc")
    section = SECTION.validate_python(KINDS | {"weight_decay_binary": 0.5, "weight_decay_epochs": 2})
    optimizers = Optimizers(model, section)
    assert optimizers.binary is not None
    optimizers.set_rate(0.02, epoch=1)
    for group in optimizers.binary.param_groups:
        w = group["params"][0]
        assert group["lr"] == pytest.approx(0.002 * math.sqrt(sum(w.shape) / 1.5))
        assert group["weight_decay"] == 0.5
    assert optimizers.rate == pytest.approx(0.02)
    optimizers.set_rate(0.02, epoch=2)
    assert {group["weight_decay"] for group in optimizers.binary.param_groups} == {0.0}


@pytest.mark.parametrize(
    ("method", "binary", "told"),
    [
        ("bop", "adam", "adam moves latent weights: method bop stores ±1 weights, which only bop can train"),
        ("bnn", "bop", "bop flips stored ±1 weights, but method bnn has latent ones"),
    ],
)
def test_an_optimizer_for_the_other_kind_of_weight_is_refused(method: str, binary: str, told: str) -> None:
    sections: dict[str, Any] = {"method": method, "model": "mlp", "data": "mnist"}
    found = dict(problems(from_mapping(sections | {"optimizer": {"name": "sgd", "binary": binary}})))
    assert found["optimizer", "binary"].startswith(told)
