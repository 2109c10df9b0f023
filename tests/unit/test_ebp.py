"""Expectation Backpropagation against the authors' recursion, in numpy, and exact distributions."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryLinear
from bnn_train.binary.quantizers import quantizer
from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping
from bnn_train.config.merge import merge
from bnn_train.config.schema import Probit
from bnn_train.models.build import build
from bnn_train.spec.annealed import Position
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import MLP
from bnn_train.spec.quantizers import ExpectedSign
from bnn_train.training.losses import criterion
from bnn_train.training.setup import build_learner
from bnn_train.training.step import Kept, training_step
from tiny import tiny

Array = np.ndarray[Any, Any]
EBP = METHODS["ebp"]
RNG = np.random.default_rng(3)
CPU = torch.device("cpu")
ERF = np.vectorize(math.erf)


def phi(z: Array) -> Array:
    """The normal distribution function."""
    return np.asarray(0.5 * (1 + ERF(z / math.sqrt(2))))


def recursion(
    weights: list[Array], biases: list[Array], x: Array, targets: Array
) -> tuple[list[Array], list[Array]]:
    """What a batch adds to h and b: forward by means and variances, backward by G, as the authors' code has
    it, √(K + 1) and all."""
    means, variances, sums = [x], [np.zeros_like(x)], []
    for index, (h, b) in enumerate(zip(weights, biases, strict=True)):
        m, v, var, k = np.tanh(h), means[-1], variances[-1], h.shape[1]
        mu = (v @ m.T + b) / np.sqrt(k + 1)
        if index == 0:
            square = ((v**2) @ (1 - m**2).T + 1) / (k + 1)
        else:
            square = (var.sum(axis=1, keepdims=True) + (1 - var) @ (1 - m**2).T + 1) / (k + 1)
        sums.append((mu, square, k))
        p = phi(mu / np.sqrt(square))
        means.append(2 * p - 1)
        variances.append(4 * (p - p**2))

    def density(mu: Array, square: Array, k: int) -> Array:
        return np.asarray(2 / np.sqrt(k + 1) * np.exp(-(mu**2) / (2 * square)) / np.sqrt(2 * np.pi * square))

    mu, square, k = sums[-1]
    g = targets * density(mu, square, k) / phi(targets * mu / np.sqrt(square))
    more: list[tuple[Array, Array]] = []
    for index in range(len(weights) - 1, -1, -1):
        more.append((0.5 * g.T @ means[index], 0.5 * g.sum(axis=0)))
        if index:
            g = (g @ np.tanh(weights[index])) * density(*sums[index - 1])
    more.reverse()
    return [h for h, _ in more], [b for _, b in more]


def network(depth: int = 2) -> nn.Module:
    """A small one in float64 whose biases are not 0."""
    model = build(MLP(name="mlp", width=9, depth=depth), EBP, (1, 3, 4), 3).double()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.copy_(torch.linspace(-1, 1, len(parameter)))
    return model


@pytest.mark.parametrize("groups", [1, 2], ids=["one batch", "two in a step"])
def test_a_step_adds_what_the_recursion_says(tmp_path: Path, groups: int) -> None:
    e = tiny(tmp_path, method="ebp", optimizer="ebp", loss="probit")
    model = network()
    parameters = [p.detach().numpy().copy() for p in model.parameters()]
    weights, biases = parameters[::2], parameters[1::2]
    assert [w.shape for w in weights] == [(9, 12), (9, 9), (3, 9)]
    x, labels = RNG.normal(size=(8, 12)), np.array([0, 1, 2, 1, 0, 0, 2, 1])
    targets = np.where(np.arange(3) == labels[:, None], 1.0, -1.0)
    more_h, more_b = recursion(weights, biases, x, targets)
    learner = build_learner(e, model, CPU)
    images = torch.from_numpy(x).view(8, 1, 3, 4)
    batches = list(zip(images.split(8 // groups), torch.from_numpy(labels).split(8 // groups), strict=True))
    assert training_step(learner, Kept(model), batches, position=Position(), clip=None)
    now = [p.detach().numpy() for p in model.parameters()]
    for before, added, after in zip(weights + biases, more_h + more_b, now[::2] + now[1::2], strict=True):
        np.testing.assert_allclose(after - before, added, rtol=1e-9, atol=1e-12)


def test_evaluations_have_the_likelier_signs() -> None:
    model = network().eval()
    h1, b1, h2, b2, h3, b3 = (p.detach().numpy() for p in model.parameters())
    x = RNG.normal(size=(5, 12))

    def signs(values: Array) -> Array:
        return np.where(values < 0, -1.0, 1.0)

    hidden = signs(signs(x @ signs(h1).T + b1) @ signs(h2).T + b2)
    expected = hidden @ signs(h3).T + b3
    found = model(torch.from_numpy(x).view(5, 1, 3, 4)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("curve", ["tanh", "normal"])
def test_expected_signs(curve: Any) -> None:
    made = quantizer(ExpectedSign(curve=curve))
    values = np.array([-3.0, -0.5, -0.0, 0.0, 0.5, 3.0])
    x = torch.tensor(values, requires_grad=True)
    identity: Any = None
    found = made.value(x, identity, drawn=True, span=1.0)
    found.sum().backward()
    odds = np.exp(2 * values)
    expected = (odds - 1) / (odds + 1) if curve == "tanh" else 2 * phi(values) - 1
    slope = 1 - expected**2 if curve == "tanh" else 2 * np.exp(-(values**2) / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), slope, rtol=1e-12)
    still = torch.tensor([-1e-9, -0.0, 0.0, 2.0, math.nan])
    assert made.codes(still, (), drawn=False).tolist() == [-1, 1, 1, 1, 1]
    assert made.eval().codes(still, (), drawn=True).tolist() == [-1, 1, 1, 1, 1]


def test_the_mean_and_the_variance_are_those_of_independent_signs() -> None:
    """Every outcome of three weights and three inputs, with its probability."""
    made: Any = BinaryLinear(3, 1, method="ebp", role="body").double()
    scale = made.output_scale.around(made)
    h, x = RNG.normal(size=3), RNG.normal(size=3)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(h)[None])
        made.bias.fill_(0.25)
    likely = np.concatenate([0.5 + 0.5 * np.tanh(h), phi(x)])
    outcomes = np.array(list(itertools.product([-1.0, 1.0], repeat=6)))
    chances = np.where(outcomes > 0, likely, 1 - likely).prod(axis=1)
    sums = (outcomes[:, :3] * outcomes[:, 3:]).sum(axis=1)
    mean = (chances * sums).sum()
    variance = (chances * (sums - mean) ** 2).sum() + 1  # that of the bias is 1
    found = float(scale(torch.from_numpy(x)[None]).detach())
    assert found == pytest.approx((mean + 0.25) / math.sqrt(variance), rel=1e-12)


def loss_and_gradient(z: Tensor) -> tuple[float, Tensor]:
    """Of two classes, the first of which is the target, at the given number; the other far on its side."""
    logits = torch.stack([z, torch.full_like(z, -50)])[None].requires_grad_()
    loss = criterion(Probit(name="probit"))(logits, torch.tensor([0]))
    loss.backward()
    assert logits.grad is not None
    return float(loss.detach()), logits.grad[0, 0]


@pytest.mark.parametrize("z", [-3.0, -0.5, 0.0, 1.5, 6.0])
def test_probit_is_the_logarithm_of_a_chance(z: float) -> None:
    loss, gradient = loss_and_gradient(torch.tensor(z, dtype=torch.float64))
    chance = 0.5 * math.erfc(-z / math.sqrt(2))
    assert loss == pytest.approx(-math.log(chance), rel=1e-12)
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    assert float(gradient) == pytest.approx(-density / chance, rel=1e-12)


@pytest.mark.parametrize("z", [-20.0, -1e3, -1e6])
def test_far_on_the_wrong_side_its_gradient_is_the_authors_limit(z: float) -> None:
    """φ(z)/Φ(z) is 0/0 in float32 there; |z| < φ/Φ < |z| + 1/|z| (Gordon)."""
    loss, gradient = loss_and_gradient(torch.tensor(z))
    assert math.isfinite(loss)
    assert -z * (1 - 1e-6) <= -float(gradient) <= (-z - 1 / z) * (1 + 1e-6)


def test_what_guessing_costs() -> None:
    base = criterion(Probit(name="probit"))
    zero, normal = base.guess(10)
    labels = torch.arange(10)
    assert zero == pytest.approx(float(base(torch.zeros(10, 10, dtype=torch.float64), labels)))
    draws = torch.randn(20000, 10, generator=torch.Generator().manual_seed(0))
    assert normal == pytest.approx(float(base(draws, torch.zeros(20000, dtype=torch.int64))), rel=0.02)
    best = torch.full((10, 10), -1.2815515655446004, dtype=torch.float64)  # Φ of it is 0.1
    assert base.prior(10) == pytest.approx(float(base(best, labels)))
    assert float(base(best + 0.01, labels)) > base.prior(10) < float(base(best - 0.01, labels))


BASE = {"method": {"name": "ebp"}, "model": "mlp", "data": "mnist", "optimizer": "ebp", "loss": "probit"}


def told(sections: dict[str, Any]) -> dict[str, str]:
    """Key path → sentence."""
    return {".".join(map(str, key)): text for key, text in problems(from_mapping(merge(BASE, sections)))}


@pytest.mark.parametrize(
    ("sections", "path", "words"),
    [
        ({"optimizer": {"name": "adam"}}, "optimizer.name", "set optimizer: ebp"),
        ({"loss": {"name": "square_hinge"}}, "loss.name", "set loss: probit"),
        ({"method": {"name": "bnn"}}, "optimizer.name", "take method ebp"),
        (
            {"model": {"name": "convnet"}},
            "model.name",
            "dense layers alone, not for those of convnet; use mlp",
        ),
        ({"method": {"norm": {"kind": "batch"}}}, "method.norm.kind", "use none"),
        ({"method": {"scope": {"real": ["last"]}}}, "method.scope.real", "remove last"),
        ({"model": {"dropout": 0.5}}, "model.dropout", "use model.dropout_input"),
        ({"optimizer": {"weight_decay": 0.1}}, "optimizer.weight_decay", "has no effect"),
        ({"optimizer": {"binary": "adam"}}, "optimizer.binary", "remove it"),
        ({"method": {"output_scale": "deviation"}}, "method.output_scale", "activation.quantizer: spike"),
        ({"method": {"output_scale": "none"}}, "method.output_scale", "set it to expected_deviation"),
        ({"method": {"weight": {"quantizer": "sign"}}}, "method.output_scale", "has none here"),
        (
            {"method": {"activation": {"quantizer": "sign"}}},
            "method.output_scale",
            "expected_sign with curve",
        ),
    ],
)
def test_it_is_refused_at_its_key(sections: dict[str, Any], path: str, words: str) -> None:
    found = told(sections)
    assert words in found.get(path, ""), found


def test_the_row_passes() -> None:
    assert told({}) == told({"model": {"dropout_input": 0.2}}) == {}
