"""Groups of learned parameters, and the second moment that each optimizer tells, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryLinear
from bnn_train.binary.learned import Learns
from bnn_train.config.schema import Optimizer
from bnn_train.spec.methods import METHODS
from bnn_train.training.optimizers import Optimizers
from bnn_train.training.optimizers.shift_adamax import power_of_two

SECTION: TypeAdapter[Optimizer] = TypeAdapter(Optimizer)
UNSCALED = torch.amp.GradScaler("cpu", enabled=False)


class Clip(Learns):
    """x ↦ min(x, α) with a rate and a decay of its own."""

    def __init__(self, rate: float, weight_decay: float | None) -> None:
        super().__init__()
        self.rate, self.weight_decay = rate, weight_decay
        self.alpha = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.minimum(x, self.alpha)


def network(*clips: Clip) -> nn.Sequential:
    torch.manual_seed(0)
    middle = BinaryLinear(4, 4, method=METHODS["bc"], role="body")
    return nn.Sequential(nn.Linear(3, 4), *clips, middle, nn.Linear(4, 2))


def optimizers_of(model: nn.Module, **section: Any) -> Optimizers:
    return Optimizers(model, SECTION.validate_python({"name": "sgd", "lr": 0.1, **section}))


def test_learned_parameters_stand_behind_the_others_with_their_own_rate_and_decay() -> None:
    clips = Clip(0.5, 2e-4), Clip(1.0, None), Clip(0.5, 2e-4)
    optimizers = optimizers_of(network(*clips), weight_decay=0.3, weight_decay_binary=0.2)
    optimizers.set_rate(0.1, epoch=0)
    *_, latent, first, second = optimizers.main.param_groups
    assert latent["decay"] == 0.2
    assert [id(p) for p in first["params"]] == [id(clips[0].alpha), id(clips[2].alpha)]
    assert [id(p) for p in second["params"]] == [id(clips[1].alpha)]
    assert (first["lr"], first["weight_decay"]) == (0.05, 2e-4)
    assert (second["lr"], second["weight_decay"]) == (0.1, 0.3)


@pytest.mark.parametrize("binary", [None, "bop"])
def test_every_parameter_is_in_one_group(binary: str | None) -> None:
    model = network(Clip(2.0, 0.0))
    optimizers = optimizers_of(model, binary=binary)
    held = [id(p) for o in optimizers._all() for group in o.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_without_learned_parameters_states_keep_their_places() -> None:
    """Real parameters in the network's order, then latent weights: as version 0.1 numbers them."""
    model = network()
    parameters = [p for _, _, p in optimizers_of(model).kept()]
    latent = model[1].weight
    real = [p for p in model.parameters() if p is not latent]
    assert [id(p) for p in parameters] == [id(p) for p in [*real, latent]]


def gradients(steps: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(5,)) for _ in range(steps)]


def moment_after(steps: int, **section: Any) -> Tensor | None:
    model = nn.Sequential(nn.Linear(5, 1, bias=False)).double()
    optimizers = optimizers_of(model, **section)
    optimizers.set_rate(0.01, epoch=0)
    for g in gradients(steps):
        model[0].weight.grad = torch.from_numpy(g.copy()).view(1, 5)
        optimizers.step(UNSCALED)
    return optimizers.second_moment(weight(model[0]))


def weight(module: nn.Module) -> torch.Tensor:
    found = module.weight
    assert isinstance(found, torch.Tensor)
    return found


def test_the_second_moment_of_adam_is_corrected() -> None:
    v = np.zeros(5)
    for t, g in enumerate(gradients(3), start=1):
        v = 0.99 * v + 0.01 * g**2
        found = moment_after(t, name="adam", betas=[0.9, 0.99])
        assert found is not None
        np.testing.assert_allclose(found.numpy().ravel(), v / (1 - 0.99**t), rtol=1e-6)


@pytest.mark.parametrize(("name", "eps"), [("adamax", 1e-8), ("shift_adamax", 0.0)])
def test_that_of_adamax_is_the_square_of_the_largest_gradient(name: str, eps: float) -> None:
    u = np.zeros(5)
    for g in gradients(4):
        u = np.maximum(0.5 * u, np.abs(g) + eps)
    found = moment_after(4, name=name, betas=[0.9, 0.5])
    assert found is not None
    np.testing.assert_allclose(found.numpy().ravel(), u**2, rtol=1e-6)


def test_sgd_and_bop_have_none() -> None:
    assert moment_after(2, name="sgd", momentum=0.9) is None
    model = network()
    optimizers = optimizers_of(model, name="adam", binary="bop")
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizers.set_rate(0.01, epoch=0)
    assert optimizers.second_moment(weight(model[0])) is None  # before the first step
    optimizers.step(UNSCALED)
    assert optimizers.second_moment(weight(model[1])) is None
    assert optimizers.second_moment(weight(model[0])) is not None


@pytest.mark.parametrize("x", [1.0, 1.414, 1.4143, 3.0, 1e-9, 2.0**-27, 1e30])
def test_powers_of_two_on_the_host(x: float) -> None:
    assert power_of_two(x) == 2.0 ** np.round(np.log2(x))
