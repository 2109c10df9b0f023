"""SwishSign, triangle, ReSTE, the integrals of all estimators and three curves against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.spec import estimators as spec
from bnn_train.spec.annealed import Curve, Position, number_at
from bnn_train.spec.methods import METHODS

X = np.array([-3, -1.5, -1.0, -0.48, -0.1, -0.0, 0.0, 1e-9, 0.1, 0.3, 1.0, 1.5, 1.6, 1e3, 1e30])


def slope(options: Any, x: np.ndarray) -> np.ndarray:
    at = torch.from_numpy(x.copy())
    return ESTIMATORS.build(options).slope(torch.ones_like(at), at).numpy()


def test_swish_is_its_formula_and_never_overflows() -> None:
    near = X[np.abs(X) < 100]
    expected = 5 * (2 - 5 * near * np.tanh(2.5 * near)) / (1 + np.cosh(5 * near))
    np.testing.assert_allclose(slope(spec.Swish(), near), expected, rtol=1e-10, atol=1e-15)
    far = np.array([1e30, -1e30, np.inf, -np.inf])
    np.testing.assert_array_equal(np.abs(slope(spec.Swish(), far.astype(np.float32))), 0)
    assert np.isnan(slope(spec.Swish(), np.array([np.nan]))).all()


def test_swish_at_its_landmarks() -> None:
    """β at 0, nothing near 0.48, least −0.369 (both with β = 5)."""
    grid = np.linspace(0, 3, 30001)
    found = slope(spec.Swish(), grid)
    assert found[0] == 5
    assert grid[np.argmax(found < 0)] == pytest.approx(0.48, abs=0.005)
    assert found.min() == pytest.approx(-0.369, abs=0.001)


def test_triangle_is_its_formula() -> None:
    np.testing.assert_array_equal(slope(spec.Triangle(), X), np.maximum(0, 1 - np.abs(X)))


@pytest.mark.parametrize(
    ("o", "slopes"),
    [
        (1.0, [1, 1, 1, 1]),
        (2.0, [3.16228, 0.70711, 0.5, 0.40825]),
        (3.0, [4.64159, 0.52913, 0.33333, 0.25438]),
    ],
)
def test_reste_at_its_landmarks(o: float, slopes: list[float]) -> None:
    at = np.array([0, 0.5, 1, 1.5])
    for x in (at, -at):
        np.testing.assert_allclose(slope(spec.Reste(o=o), x), slopes, atol=1e-5)
    np.testing.assert_array_equal(slope(spec.Reste(o=o), np.array([1.5000001, -7, 1e30])), 0)
    np.testing.assert_allclose(slope(spec.Reste(o=o), np.array([0.1, -0.1, 1e-40, -0.0])), slopes[0], 1e-5)


def integral(options: Any, end: float) -> float:
    """By the middle rule, whose edges no kink falls on."""
    width = end / 500_000
    middles = (np.arange(-500_000, 500_000) + 0.5) * width
    return float(slope(options, middles).sum() * width)


JUMPS = {"clip": 2, "clip_open": 2, "approx_sign": 2, "swish": 2, "tanh_ede": 2, "unit": 1, "triangle": 1}
"""Of the quantizer that each stands for: from −1 to 1, or from 0 to 1."""


@pytest.mark.parametrize("name", JUMPS)
def test_slopes_integrate_to_the_jump(name: str) -> None:
    options = next(cls() for cls in ESTIMATORS.rows if cls.model_fields["name"].default == name)
    assert integral(options, 20.0) == pytest.approx(JUMPS[name], abs=1e-4)


def test_every_estimator_is_integrated() -> None:
    """The identity has no end; ReSTE's is 2·1.5^(1/o)."""
    names = {str(cls.model_fields["name"].default) for cls in ESTIMATORS.rows}
    assert {"identity", "reste", *JUMPS} <= names


@pytest.mark.parametrize("o", [1.0, 2.0, 3.0])
def test_the_integral_of_reste(o: float) -> None:
    assert integral(spec.Reste(o=o), 2.0) == pytest.approx(2 * 1.5 ** (1 / o), abs=1e-4)


@pytest.mark.parametrize(("t", "area"), [(1e-3, 2.0), (0.1, 1.993), (1.0, 1.523), (10.0, 2.0)])
def test_the_window_of_error_decay(t: float, area: float) -> None:
    assert integral(spec.TanhEDE(t=t), 1.0) == pytest.approx(area, abs=6e-4)


@pytest.mark.parametrize(
    ("row", "keys", "values"),
    [
        ("reste", ("estimator", "o"), [1, 1.15224, 1.58579, 2.23463, 3]),
        ("recu", ("pre", "tau"), [0.85, 0.87314, 0.90286, 0.94101, 0.99]),
        ("self_binarizing", ("pre", "nu"), [1, 5.6234, 31.623, 177.83, 1000]),
    ],
)
def test_curves_at_the_quarters(row: str, keys: tuple[str, str], values: list[float]) -> None:
    curve: Any = METHODS[row].weight
    for key in keys:
        curve = getattr(curve, key)
    assert isinstance(curve, Curve)
    found = [number_at(curve, Position(epoch=e, epochs=100)) for e in (0.0, 25.0, 50.0, 75.0, 100.0)]
    np.testing.assert_allclose(found, values, rtol=2e-5)
