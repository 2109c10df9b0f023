"""Activation quantizers and gradient estimators against their formulas in numpy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bnn_train.binary.estimators import ESTIMATORS, Estimator
from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.spec.method import ActivationSpec
from bnn_train.spec.record import Record

EDGES = np.array(
    [-2, -1.0000001, -1, -0.9999999, -0.5, -1e-40, -0.0, 0.0, 1e-40, 0.3, 0.9999999, 1, 1.0000001, 2]
)
X = np.concatenate([EDGES, np.random.default_rng(0).normal(size=200)]).astype(np.float32)

SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda x: np.ones_like(x),
    "clip": lambda x: (np.abs(x) <= 1).astype(np.float32),
    "clip_open": lambda x: (np.abs(x) < 1).astype(np.float32),
    "approx_sign": lambda x: np.where(np.abs(x) <= 1, 2 - 2 * np.abs(x), 0),
    "unit": lambda x: ((x >= 0) & (x <= 1)).astype(np.float32),
    "tanh_ede": lambda x: np.cosh(x.astype(np.float64)) ** -2,  # t = k = 1
}


ELSEWHERE = {"swish", "triangle", "reste", "relu_clip", "positive_window", "fixed_point_gradient"}
"""Against their formulas in the tests of their papers; the last rounds the gradient itself."""


def name_of(spec: type[Record]) -> str:
    name: str = spec.model_fields["name"].default
    return name


ROWS: dict[str, Estimator] = {name_of(spec): built(spec()) for spec, built in ESTIMATORS.rows.items()}


def quantize_input(
    x: torch.Tensor, axes: dict[str, Any], *, training: bool, codes: bool = False
) -> torch.Tensor:
    """x̂, or its codes."""
    quantizer = InputQuantizer(ActivationSpec.model_validate(axes), x.shape[-1]).train(training)
    found: torch.Tensor = quantizer.coded(x)[0] if codes else quantizer(x)
    return found


def test_every_estimator_has_its_formula_here() -> None:
    assert SLOPES.keys() | ELSEWHERE == ROWS.keys()


@pytest.mark.parametrize("name", sorted(SLOPES))
def test_estimator_is_its_formula(name: str) -> None:
    g = np.random.default_rng(1).normal(size=X.shape).astype(np.float32)
    got = ROWS[name].slope(torch.from_numpy(g.copy()), torch.from_numpy(X.copy()))
    np.testing.assert_allclose(got.numpy(), g * SLOPES[name](X), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["clip", "approx_sign"])
def test_slope_integrates_to_the_jump_of_sign(name: str) -> None:
    x = torch.linspace(-2, 2, 400_001, dtype=torch.float64)
    slope = ROWS[name].slope(torch.ones_like(x), x)
    assert float(torch.trapezoid(slope, x)) == pytest.approx(2, abs=1e-4)


@pytest.mark.parametrize("estimator", sorted(SLOPES))
def test_sign_forward_and_gradient(estimator: str) -> None:
    x = torch.from_numpy(X.copy()).requires_grad_()
    y = quantize_input(x, {"quantizer": "sign", "estimator": estimator}, training=True)
    np.testing.assert_array_equal(y.detach().numpy(), np.where(X < 0, -1, 1))
    y.backward(torch.full_like(y, 3.0))
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), 3 * SLOPES[estimator](X), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_uniform_is_dorefas_quantizer(bits: int) -> None:
    steps = 2**bits - 1
    x = torch.from_numpy(X.copy()).requires_grad_()
    y = quantize_input(
        x, {"quantizer": {"name": "uniform", "bits": bits}, "estimator": "unit"}, training=True
    )
    np.testing.assert_allclose(y.detach().numpy(), np.round(np.clip(X, 0, 1) * steps) / steps, atol=1e-7)
    assert len(np.unique(y.detach().numpy())) <= 2**bits
    codes = quantize_input(
        x, {"quantizer": {"name": "uniform", "bits": bits}, "estimator": "unit"}, training=True, codes=True
    )
    np.testing.assert_array_equal(codes.detach().numpy(), np.round(np.clip(X, 0, 1) * steps))
    for out in (y, codes):  # backward always takes the gradient with respect to the value
        x.grad = None
        out.sum().backward()
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy(), SLOPES["unit"](X))


def test_stochastic_sign_has_the_probability_of_the_hard_sigmoid() -> None:
    spec = {"quantizer": "stochastic_sign"}
    torch.manual_seed(0)
    for value, p in ((-1.5, 0.0), (-1.0, 0.0), (-0.5, 0.25), (0.0, 0.5), (0.8, 0.9), (1.0, 1.0), (4.0, 1.0)):
        y = quantize_input(torch.full((40_000,), value), spec, training=True)
        assert set(y.unique().tolist()) <= {-1.0, 1.0}
        assert float((y > 0).float().mean()) == pytest.approx(p, abs=0.01)


def test_stochastic_sign_is_the_sign_in_evaluation() -> None:
    y = quantize_input(torch.from_numpy(X.copy()), {"quantizer": "stochastic_sign"}, training=False)
    np.testing.assert_array_equal(y.numpy(), np.where(X < 0, -1, 1))
