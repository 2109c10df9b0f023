"""Parameter groups, and one step of each optimizer against its formula in numpy."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from torch import nn

from bnn_train.binary.factory import ChainLayer, Layers
from bnn_train.binary.latent import enforce
from bnn_train.binary.layers import binary_layers
from bnn_train.config.schema import Optimizer
from bnn_train.spec.methods import METHODS
from bnn_train.training.optimizers import Optimizers
from bnn_train.training.optimizers.bop import BopOptimizer
from bnn_train.training.optimizers.shift_adamax import ShiftAdaMax

SECTION: TypeAdapter[Optimizer] = TypeAdapter(Optimizer)


def network(method: str) -> nn.Sequential:
    torch.manual_seed(0)
    units = [
        ChainLayer(role="first", kind="linear", inputs=8, outputs=16),
        ChainLayer(role="body", kind="linear", inputs=16, outputs=16),
        ChainLayer(role="last", kind="linear", inputs=16, outputs=4),
    ]
    return Layers(METHODS[method]).chain(units)


def one_step(
    model: nn.Module, section: dict[str, Any], lr: float, steps: int = 1
) -> list[dict[str, np.ndarray]]:
    """The gradients of each step; the model has then moved."""
    optimizers = Optimizers(model, SECTION.validate_python(section))
    optimizers.set_rate(lr, epoch=0)
    seen = []
    for step in range(steps):
        optimizers.zero_grad()
        x = torch.randn(32, 8, generator=torch.Generator().manual_seed(step))
        x = x.to(next(model.parameters()).dtype)
        F.cross_entropy(model(x), torch.arange(32) % 4).backward()
        seen.append(
            {name: p.grad.numpy().copy() for name, p in model.named_parameters() if p.grad is not None}
        )
        optimizers.step(torch.amp.GradScaler("cpu", enabled=False))
    return seen


def values(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: p.detach().numpy().copy() for name, p in model.named_parameters()}


def test_latent_weights_move_by_the_scaled_rate_and_stay_in_the_box() -> None:
    model = network("bc")
    before = values(model)
    [grads] = one_step(model, {"name": "adam"}, lr=0.01)
    enforce(model)
    for name, layer in binary_layers(model):
        scale = np.sqrt(sum(layer.weight.shape) / 1.5)
        key = f"{name}.weight"
        g = grads[key].astype(np.float64)
        step = 0.01 * scale * g / (np.abs(g) + 1e-8)  # Adam's first step: m̂ = g, v̂ = g²
        np.testing.assert_allclose(values(model)[key], np.clip(before[key] - step, -1, 1), atol=2e-5)
    g = grads["norm1.weight"].astype(np.float64)
    np.testing.assert_allclose(
        values(model)["norm1.weight"], before["norm1.weight"] - 0.01 * g / (np.abs(g) + 1e-8), atol=1e-6
    )


def test_sgd_scales_by_the_square() -> None:
    model = network("bc")
    before = values(model)
    [grads] = one_step(model, {"name": "sgd"}, lr=1e-3)
    for name, layer in binary_layers(model):
        factor = sum(layer.weight.shape) / 1.5
        expected = before[f"{name}.weight"] - 1e-3 * factor * grads[f"{name}.weight"]
        np.testing.assert_allclose(values(model)[f"{name}.weight"], expected, atol=1e-6)
    assert not np.array_equal(values(model)["linear1.bias"], before["linear1.bias"])


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_momentum(nesterov: bool) -> None:
    model = network("fp")
    w = values(model)["linear2.weight"].astype(np.float64)
    grads = one_step(model, {"name": "sgd", "momentum": 0.9, "nesterov": nesterov}, lr=0.1, steps=3)
    velocity = np.zeros_like(w)
    for step in grads:
        g = step["linear2.weight"]
        velocity = 0.9 * velocity + g
        w = w - 0.1 * (g + 0.9 * velocity if nesterov else velocity)
    np.testing.assert_allclose(values(model)["linear2.weight"], w, atol=1e-6)


@pytest.mark.parametrize("eps", [1e-8, 1e-2])
def test_adamax(eps: float) -> None:
    model = network("fp")
    w = values(model)["linear2.weight"].astype(np.float64)
    grads = one_step(model, {"name": "adamax", "betas": [0.9, 0.99], "eps": eps}, lr=0.02, steps=3)
    m, u = np.zeros_like(w), np.zeros_like(w)
    for t, step in enumerate(grads, start=1):
        g = step["linear2.weight"].astype(np.float64)
        m, u = 0.9 * m + 0.1 * g, np.maximum(0.99 * u, np.abs(g) + eps)
        w = w - 0.02 / (1 - 0.9**t) * m / u
    np.testing.assert_allclose(values(model)["linear2.weight"], w, atol=1e-5)


@pytest.mark.parametrize("eps", [1e-8, 1e-2])
def test_adamw(eps: float) -> None:
    """arXiv 1711.05101, algorithm 2: the decay is off the weights, by rate·decay, and in no moment."""
    model = network("fp")
    w = values(model)["linear2.weight"].astype(np.float64)
    section = {"name": "adamw", "betas": [0.9, 0.99], "eps": eps, "weight_decay": 0.5}
    grads = one_step(model, section, lr=0.02, steps=3)
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, step in enumerate(grads, start=1):
        g = step["linear2.weight"].astype(np.float64)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        w = w - 0.02 * (m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.99**t)) + eps) + 0.5 * w)
    np.testing.assert_allclose(values(model)["linear2.weight"], w, atol=1e-5)


def ap2(x: np.ndarray) -> np.ndarray:
    """Positive numbers to the nearest power of two, by the logarithm."""
    return np.asarray(2.0 ** np.round(np.log2(x)))


@pytest.mark.parametrize("row", ["fp", "bc"])
@pytest.mark.parametrize("form", ["paper", "code"])
def test_shift_adamax(form: str, row: str) -> None:
    """arXiv 1602.02830, algorithm 4, and adaMax_binary_clip_shift.lua, in float64."""
    model = network(row).double()
    w = values(model)["linear2.weight"]
    scale = np.sqrt(32 / 1.5) if row == "bc" else 1.0  # the layer's factor on the rate
    section = {"name": "shift_adamax", "form": form, "betas": [0.9, 0.99], "eps": 2.0**-27}
    grads = one_step(model, section, lr=2.0**-6, steps=4)
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, step in enumerate(grads, start=1):
        g = step["linear2.weight"]
        m, v, correction = 0.9 * m + 0.1 * g, np.maximum(0.99 * v, np.abs(g)), 1 / (1 - 0.9**t)
        if form == "paper":
            w = w - scale * 2.0**-6 * ap2(np.array(correction)) * m * ap2(1 / np.maximum(v, 2.0**-27))
        else:
            v = np.where(v == 0, 0, ap2(np.where(v == 0, 1, v))) + 2.0**-27
            w = w - scale * ap2(np.array(2.0**-6 * correction)) * m / v
    np.testing.assert_allclose(values(model)["linear2.weight"], w, rtol=1e-9, atol=1e-12)


def test_shift_adamax_of_the_code_never_forgets_a_gradient() -> None:
    """0.999·2^k rounds back to 2^k."""
    w = torch.zeros(1, dtype=torch.float64)
    optimizer = ShiftAdaMax([w], lr=0.01, betas=(0.9, 0.999), eps=0.0, keeps_v=False)
    for gradient in [0.5] + [1e-6] * 3000:
        w.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    assert optimizer.state[w]["v"].tolist() == [0.5]


def test_weight_decay_ends_after_its_epochs() -> None:
    section = {"name": "sgd", "weight_decay": 0.3, "weight_decay_binary": 0.2, "weight_decay_epochs": 29}
    optimizers = Optimizers(network("xnor"), SECTION.validate_python(section))
    for epoch, decays in ((0, [0.3, 0.2]), (28, [0.3, 0.2]), (29, [0, 0]), (54, [0, 0]), (3, [0.3, 0.2])):
        optimizers.set_rate(0.01, epoch)
        assert [group["weight_decay"] for group in optimizers.main.param_groups] == decays


def test_weight_decay_leaves_latent_weights_alone_unless_asked() -> None:
    for asked in (0.0, 0.5):
        model = network("xnor")
        optimizers = Optimizers(
            model, SECTION.validate_python({"name": "sgd", "weight_decay": 0.3, "weight_decay_binary": asked})
        )
        decay = {
            id(p): group["weight_decay"] for group in optimizers.main.param_groups for p in group["params"]
        }
        latent = {id(layer.weight) for _, layer in binary_layers(model)}
        assert {decay[id(p)] for p in model.parameters() if id(p) in latent} == {asked}
        assert {decay[id(p)] for p in model.parameters() if id(p) not in latent} == {0.3}


def test_every_parameter_is_trained_once() -> None:
    for method in METHODS:
        model = network(method)
        section = {"name": "adam", "binary": "bop" if method == "bop" else None}
        optimizers = Optimizers(model, SECTION.validate_python(section))
        held = [id(p) for o in optimizers._all() for group in o.param_groups for p in group["params"]]
        assert sorted(held) == sorted(id(p) for p in model.parameters()), method


def test_bop_flips_exactly_where_the_average_points_against_the_weight() -> None:
    model = network("bop")
    before = values(model)
    bop = {"name": "bop", "threshold": 1e-4, "gamma": 0.1}
    grads = one_step(model, {"name": "adam", "binary": bop}, lr=0.01, steps=4)
    flipped = 0
    for name, _ in binary_layers(model):
        w = before[f"{name}.weight"].astype(np.float64)
        m = np.zeros_like(w)
        for step in grads:
            m = 0.9 * m + 0.1 * step[f"{name}.weight"]
            flip = (np.abs(m) > 1e-4) & (np.sign(m) == np.sign(w))
            w = np.where(flip, -w, w)
            flipped += int(flip.sum())
        np.testing.assert_array_equal(values(model)[f"{name}.weight"], w)
    assert flipped > 0


def test_bop_flips_beyond_the_threshold_not_on_it() -> None:
    w = torch.ones(3)
    w.grad = torch.tensor([0.25, 0.5, -0.5])
    BopOptimizer([w], threshold=0.25, gamma=1.0).step()
    assert w.tolist() == [1, -1, 1]


def test_bop_gamma_decays_by_epoch() -> None:
    section = {
        "name": "adam",
        "binary": {"name": "bop", "gamma": 1e-3, "gamma_decay": 0.1, "gamma_every": 100},
    }
    optimizers = Optimizers(network("bop"), SECTION.validate_python(section))
    assert optimizers.binary is not None
    for epoch, gamma in ((0, 1e-3), (99, 1e-3), (100, 1e-4), (250, 1e-5)):
        optimizers.set_rate(0.01, epoch)
        assert optimizers.binary.param_groups[0]["gamma"] == pytest.approx(gamma)


@pytest.mark.parametrize(
    "section",
    [
        {"name": "adam"},
        {"name": "sgd", "momentum": 0.9},
        {"name": "adam", "binary": "bop"},
        {"name": "adamw", "weight_decay": 0.1},
        {"name": "shift_adamax", "form": "code"},
    ],
)
def test_state_round_trip_continues_the_same(section: dict[str, Any]) -> None:
    method = "bop" if "binary" in section else "bc"
    straight, first = network(method), network(method)
    one_step(straight, section, lr=0.01, steps=2)
    a = Optimizers(first, SECTION.validate_python(section))
    second = network(method)
    b = Optimizers(second, SECTION.validate_python(section))
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    for step, (model, optimizers) in enumerate(((first, a), (second, b))):
        if step == 1:
            second.load_state_dict(first.state_dict())
            b.load(a.state())
        optimizers.set_rate(0.01, epoch=0)
        optimizers.zero_grad()
        x = torch.randn(32, 8, generator=torch.Generator().manual_seed(step))
        F.cross_entropy(model(x), torch.arange(32) % 4).backward()
        optimizers.step(scaler)
    for name, value in values(straight).items():
        np.testing.assert_array_equal(value, values(second)[name])
