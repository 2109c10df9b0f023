"""The gradient instrument: silent on every method's gradient, loud on each one that is not as it claims."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary import layers
from bnn_train.binary.estimators import ESTIMATORS, Estimator
from bnn_train.binary.gradients import GRADIENTS
from bnn_train.binary.quantizers.base import Quantizer
from bnn_train.check.gradients import gradients
from bnn_train.check.subject import Subject
from bnn_train.spec.methods import METHODS
from check_subject import lines, subject, verdicts

CONV = {"model": {"name": "resnet20", "width": 4}, "data": {"shape": [2, 8, 8], "batch_size": 16}}
MLP = {"model": {"name": "mlp", "width": 24, "depth": 2}, "data": {"batch_size": 32}}
LENET = {"model": "lenet5", "data": {"shape": [1, 16, 16], "batch_size": 16}}
RESIDUAL = ("xnor", "bireal", "cbcn", "real_to_binary", "reactnet")
"""Tried on a network with shortcuts; its numbers are many."""
ROWS: dict[str, type[Estimator]] = {spec().name: built for spec, built in ESTIMATORS.rows.items()}  # type: ignore[attr-defined,misc]  # estimators have names
PIECES = {spec().name: built(spec()).piece for spec, built in ESTIMATORS.rows.items()}  # type: ignore[attr-defined]
BOP = {"name": "adam", "lr": 0.01, "binary": {"name": "bop"}}


def of_method(name: str, *, network: dict[str, Any] = CONV, **axes: Any) -> Subject:
    row = METHODS[name]
    optimizer = {"name": "adam", "lr": 0.01} if row.weight.quantizer.latent else BOP
    return subject(method={"name": name, **axes}, optimizer=optimizer, **network)


def error(s: Subject) -> float:
    """The relative difference that the line tells."""
    words = lines(gradients, s)["gradient"].measured.split()
    return float(words[words.index("most") + 1])


@pytest.mark.usefixtures("shallow_resnets")
@pytest.mark.parametrize("name", METHODS)
def test_the_gradient_of_every_method_is_what_it_claims(name: str) -> None:
    found = lines(gradients, of_method(name, network=CONV if name in RESIDUAL else LENET))
    assert {line.verdict for line in found.values()} == {"ok"}, [str(line) for line in found.values()]


@pytest.mark.parametrize(
    "axes",
    [
        {"weight": {"gradient": "exact"}},
        {"weight": {"gradient": "identity"}},
        {"weight": {"gradient": "detached", "estimator": "approx_sign"}},
        {"weight": {"gradient": "exact", "granularity": "layer"}},
        {"weight": {"gradient": "detached", "scale": "learned"}},
        {"weight": {"gradient": "identity", "scale": "learned", "granularity": "layer"}},
        {"weight": {"gain": "fan_in"}},
        {"activation": {"estimator": "identity"}},
        {"norm": {"kind": "shift"}},
        {"padding": -1},
        {"block": {"product_relu": True}},
    ],
    ids=str,
)
def test_ablations_of_xnor_are_what_they_claim(axes: dict[str, Any]) -> None:
    found = lines(gradients, of_method("xnor", network=LENET, **axes))
    assert {line.verdict for line in found.values()} == {"ok"}, [str(line) for line in found.values()]


@pytest.mark.parametrize(
    "weight", [{}, {"quantizer": "none", "gradient": "identity"}], ids=["both", "first stage"]
)
@pytest.mark.parametrize("padding", [-1, 1])
def test_borders_of_several_bases_are_what_they_claim(padding: int, weight: dict[str, Any]) -> None:
    found = lines(gradients, of_method("abcnet", network=LENET, padding=padding, weight=weight))
    assert {line.verdict for line in found.values()} == {"ok"}, [str(line) for line in found.values()]


def test_dropout_does_not_disturb() -> None:
    network = {"model": {"name": "mlp", "width": 32, "dropout": 0.5, "dropout_input": 0.2}}
    assert set(verdicts(gradients, of_method("bnn_stochastic", network=network)).values()) == {"ok"}


@pytest.mark.parametrize(
    ("name", "estimator", "instead"),
    [
        ("bnn", "clip", "identity"),
        ("bireal", "approx_sign", "clip"),
        ("dorefa", "unit", "clip"),
        ("xnor", "clip_open", "approx_sign"),
    ],
)
def test_a_wrong_estimator_is_wrong(
    name: str, estimator: str, instead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = next(built(spec()) for spec, built in ESTIMATORS.rows.items() if spec().name == instead)  # type: ignore[attr-defined]
    monkeypatch.setattr(ROWS[estimator], "slope", lambda self, g, x: wrong.slope(g, x))
    line = lines(gradients, of_method(name, network=MLP, scope={"real": []}))["gradient"]
    assert line.verdict == "wrong"
    assert "weight" in line.advice


@pytest.mark.parametrize(
    ("claimed", "used"),
    [("official", "exact"), ("exact", "official"), ("exact", "detached"), ("identity", "detached")],
)
def test_another_weight_gradient_is_wrong(claimed: str, used: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(GRADIENTS[claimed]), "latent", type(GRADIENTS[used]).latent)
    s = of_method("xnor", network=MLP, weight={"gradient": claimed}, scope={"real": []})
    assert verdicts(gradients, s)["gradient"] == "wrong"


def test_a_gradient_that_is_a_little_off_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(GRADIENTS["identity"]), "latent", lambda self, g, c: 1.0005 * g)
    s = of_method("bnn", network=MLP)
    assert error(s) == pytest.approx(0.0005, rel=0.1)
    assert verdicts(gradients, s)["gradient"] == "look"


@pytest.mark.parametrize("factor", [np.nan, np.inf])
@pytest.mark.parametrize("every", [True, False])
def test_a_gradient_that_is_no_number_is_wrong(
    factor: float, every: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, or one number of each weight."""

    def broken(self: object, g: Tensor, c: object) -> Tensor:
        place = torch.arange(g.numel()).view_as(g)
        return torch.where((place == 7) | every, factor, g)

    monkeypatch.setattr(type(GRADIENTS["identity"]), "latent", broken)
    line = lines(gradients, of_method("bnn", network=MLP))["gradient"]
    assert line.verdict == "wrong"
    assert "NaN or infinity in linear1.weight" in line.measured


def test_a_forward_pass_of_another_formula_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Quantizer, "coded", lambda self, x, *rest, **more: (self.codes(x, (), drawn=False), 1.01)
    )
    assert verdicts(gradients, of_method("xnor", network=MLP))["forward pass"] == "wrong"


def test_formulas_that_are_no_derivative_are_named() -> None:
    assert (
        "official is no derivative" in lines(gradients, of_method("xnor", network=MLP))["gradient"].measured
    )
    exact = lines(gradients, of_method("xnor", network=MLP, weight={"gradient": "exact"}))[
        "gradient"
    ].measured
    assert "no derivative" not in exact


def test_a_network_that_no_gradient_reaches_is_wrong() -> None:
    s = of_method("xnor", network=MLP, weight={"gradient": "detached"}, latent={"clip": None})
    layer = next(m for m in s.model.modules() if isinstance(m, layers.BinaryLinear))
    nn.init.constant_(layer.weight, 2.0)  # beyond the estimator's window
    assert verdicts(gradients, s)["gradient reach"] == "wrong"


def test_the_network_is_left_alone() -> None:
    s = of_method("bnn", network=MLP)
    before = {name: t.clone() for name, t in s.model.state_dict().items()}
    first = [str(line) for line in gradients(s)]
    assert all(torch.equal(t, before[name]) for name, t in s.model.state_dict().items())
    assert all(p.grad is None for p in s.model.parameters())
    assert [str(line) for line in gradients(dataclasses.replace(s))] == first


def bireal(x: Tensor) -> Tensor:
    """ApproxSign as Bi-Real Net's eq. 8 writes it, case by case."""
    middle = torch.where(x < 0, 2 * x + x * x, 2 * x - x * x)
    return torch.where(x < -1, -1.0, torch.where(x >= 1, 1.0, middle))


def swish_sign(x: Tensor) -> Tensor:
    """SwishSign with β = 5, by exponentials."""
    s = 1 / (1 + torch.exp(-5 * x))
    return 2 * s * (1 + 5 * x * (1 - s)) - 1


def triangle(x: Tensor) -> Tensor:
    """The integral of 1 − |x|, constant beyond ±1."""
    x = x.clamp(-1, 1)
    return torch.where(x < 0, x + x * x / 2, x - x * x / 2)


def cube_root(x: Tensor) -> Tensor:
    """ReSTE's function with o = 3: a line near 0, constant beyond ±1.5."""
    size = x.abs().clamp(max=1.5)
    return torch.where(size < 0.1, 0.1 ** (1 / 3) * size / 0.1, size ** (1 / 3)) * torch.sign(x)


ANTIDERIVATIVES: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "clip": lambda x: x.clamp(-1, 1),
    "clip_open": lambda x: x.clamp(-1, 1),
    "approx_sign": bireal,
    "unit": lambda x: x.clamp(0, 1),
    "tanh_ede": torch.tanh,
    "fixed_point_gradient": lambda x: x,
    "positive_window": lambda x: x.clamp(0, 3 * 0.6487),
    "relu_clip": lambda x: x.clamp(0, 1.614),
    "swish": swish_sign,
    "triangle": triangle,
    "reste": cube_root,
}


@pytest.mark.parametrize("name", PIECES)
def test_a_piece_is_that_of_the_antiderivative(name: str) -> None:
    x0 = torch.tensor([-2.3, -1.2, -0.7, -0.2, 0.3, 0.8, 1.4, 3.0], dtype=torch.float64)
    for moved in np.linspace(-0.1, 0.1, 7):
        found = PIECES[name](x0 + moved, x0)
        torch.testing.assert_close(found, ANTIDERIVATIVES[name](x0 + moved) - ANTIDERIVATIVES[name](x0))


@pytest.mark.parametrize(
    ("name", "slopes"),
    [
        ("clip", [0, 1, 1, 1, 0]),
        ("clip_open", [0, 0, 1, 0, 0]),
        ("approx_sign", [0, 0, 2, 0, 0]),
        ("unit", [0, 0, 1, 1, 0]),
    ],
)
def test_the_slope_at_the_kinks_is_as_the_papers_write_it(name: str, slopes: list[float]) -> None:
    """At −1.5, −1, 0, 1, 1.5."""
    x0 = torch.tensor([-1.5, -1, 0, 1, 1.5], dtype=torch.float64)
    h = 1e-6
    slope = (PIECES[name](x0 + h, x0) - PIECES[name](x0 - h, x0)) / (2 * h)
    torch.testing.assert_close(slope, torch.tensor(slopes, dtype=torch.float64), atol=1e-5, rtol=0)
