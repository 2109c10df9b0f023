"""Weights that are solved for: codes, factors and their descent against numpy and the zoo's values."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.binary.quantizers import quantizer
from bnn_train.binary.quantizers.optimal_ternary import nearest_ternary, optimal_ternary
from bnn_train.binary.quantizers.sparse_half_wave import SparseHalfWave
from bnn_train.binary.quantizers.ternary_residual import TernaryResidual
from bnn_train.binary.sign import sign
from bnn_train.binary.solving import Nearest, Problem, descend
from bnn_train.spec import quantizers as spec
from bnn_train.spec.estimators import PositiveWindow
from bnn_train.spec.method import ActivationSpec
from bnn_train.spec.pre import Measured

RNG = np.random.default_rng(7)
W3 = np.array([[1.0, -0.2, 0.5]])
A3 = np.array([[2, 1.5, 0], [1.5, 2, 0], [0, 0, 1]])


def to_sign(x: Tensor, now: Tensor) -> Tensor:
    return sign(x)


def problem(weight: np.ndarray, inputs: np.ndarray) -> Problem:
    w, s = torch.from_numpy(weight), torch.from_numpy(inputs)
    return Problem(w, s, s @ w.flatten(1).T, torch.Generator())


def missed(p: Problem, weight: Tensor) -> float:
    return float((p.targets - p.inputs @ weight.flatten(1).T).square().sum() / p.targets.square().sum())


# ------------------------------------------------------------------------------------------- BWNH


def test_the_three_weights_of_the_zoo() -> None:
    """α .55 and the error .6503 at the start; b = (+, +, +), α .4125, .2131502, the best of all eight."""
    p = problem(W3, np.linalg.cholesky(A3).T)
    codes, alpha = descend(p.gram, p.cross(), sign(p.flat), to_sign, 0)
    assert alpha.item() == pytest.approx(0.55)
    assert missed(p, alpha[:, None] * codes) == pytest.approx(0.6503, abs=5e-5)
    found = quantizer(spec.SolvedSign()).solve(p)
    np.testing.assert_allclose(found, [[0.4125] * 3])
    assert missed(p, found) == pytest.approx(0.2131502, abs=1e-7)
    best = min(
        missed(p, torch.tensor([b], dtype=torch.float64) * alpha)
        for b in product([-1, 1], repeat=3)
        for alpha in np.linspace(0, 1, 801)
    )
    assert missed(p, found) <= best + 1e-6


def test_with_independent_inputs_it_is_bwn() -> None:
    w = RNG.normal(size=(4, 12))
    found = quantizer(spec.SolvedSign()).solve(problem(w, np.eye(12)))
    np.testing.assert_allclose(found, np.abs(w).mean(axis=1, keepdims=True) * np.sign(w))


@pytest.mark.parametrize("nearest", [to_sign, nearest_ternary])
def test_no_half_of_a_sweep_raises_the_error(nearest: Nearest) -> None:
    w, mixed = RNG.normal(size=(5, 24)), RNG.normal(size=(60, 24)) @ RNG.normal(size=(24, 24))
    p = problem(w, mixed)
    errors = []
    for sweeps in range(6):
        codes, alpha = descend(
            p.gram,
            p.cross(),
            optimal_ternary(p.flat) if nearest is nearest_ternary else sign(p.flat),
            nearest,
            sweeps,
        )
        assert bool((alpha >= 0).all())
        errors.append(missed(p, alpha[:, None] * codes))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.9 * errors[0]


def test_inputs_that_are_never_there_change_no_code() -> None:
    s = RNG.normal(size=(30, 6))
    s[:, 2] = 0
    w = RNG.normal(size=(3, 6))
    found = quantizer(spec.SolvedSign()).solve(problem(w, s))
    np.testing.assert_array_equal(np.sign(found[:, 2].numpy()), np.sign(w[:, 2]))
    dead = quantizer(spec.SolvedSign()).solve(problem(w, np.zeros((30, 6))))
    assert bool(torch.isfinite(dead).all())


# -------------------------------------------------------------------------------------------- TSQ


def by_trial(row: np.ndarray) -> np.ndarray:
    """The codes of the largest (Σ|w|)²/k over all k."""
    order = np.argsort(-np.abs(row), kind="stable")
    gains = [np.abs(row[order[:k]]).sum() ** 2 / k for k in range(1, len(row) + 1)]
    codes = np.zeros(len(row))
    kept = order[: int(np.argmax(gains)) + 1]
    codes[kept] = np.sign(row[kept])
    return codes


def test_the_optimal_ternary_weight() -> None:
    rows = RNG.normal(size=(6, 50))
    found = quantizer(spec.OptimalTernary()).codes(torch.from_numpy(rows), (1,), drawn=False)
    np.testing.assert_array_equal(found, [by_trial(row) for row in rows])
    layer = quantizer(spec.OptimalTernary()).codes(torch.from_numpy(rows), (0, 1), drawn=False)
    np.testing.assert_array_equal(layer.flatten(), by_trial(rows.flatten()))
    golden = torch.tensor([[3, 2, 1.5, 0.4, 0.1]])
    codes = optimal_ternary(golden)
    assert codes.tolist() == [[1, 1, 1, 0, 0]]
    assert (golden * codes).sum() / 3 == pytest.approx(2.1667, abs=5e-5)
    assert optimal_ternary(torch.tensor([[0.0, -0.0, 0.0], [0.0, -2.0, -0.0]])).tolist() == [
        [0] * 3,
        [0, -1, 0],
    ]


def test_ternary_numbers_of_a_normal_distribution() -> None:
    """Threshold .61181, α 1.22361, 54.1 % kept; three terms: α 1.2231, .4887, .2204."""
    w = torch.special.ndtri((torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000)[None]
    codes = optimal_ternary(w)
    kept = codes != 0
    assert w[kept].abs().min() == pytest.approx(0.61181, abs=5e-4)
    assert w[kept].abs().mean() == pytest.approx(1.22361, abs=1e-3)
    assert kept.double().mean() == pytest.approx(0.541, abs=5e-4)
    made = quantizer(spec.TernaryResidual())
    planes = made.codes(w, (1,), drawn=False)
    factors = made.factors(w, planes, (1,))
    assert factors is not None
    np.testing.assert_allclose(factors.flatten()[::2] * 2, [1.2236, 0.4887, 0.2204], atol=1e-3)
    for terms, mse in ((2, 0.1901), (4, 0.0420), (6, 0.0178)):
        left = w - (planes * factors)[:terms].sum(dim=0)
        assert left.square().mean() == pytest.approx(mse, abs=2e-4)


EDGES = np.array([-1, -0.0, 0.0, 1e-30, 0.32, 0.33, 0.97305, 0.98, 1.62175, 1.63, 9, np.inf, np.nan])


def test_the_sparse_half_wave() -> None:
    made = InputQuantizer(ActivationSpec(quantizer=spec.SparseHalfWave(), estimator=PositiveWindow()), 1)
    x = torch.from_numpy(EDGES).requires_grad_()
    steps = [0 if not v > 0.32 else 1 if v <= 1.5 * 0.6487 else 2 if v <= 2.5 * 0.6487 else 3 for v in EDGES]
    found = made(x)
    np.testing.assert_allclose(found.detach(), np.array(steps) * 0.6487)
    (slope,) = torch.autograd.grad(found.sum(), x)
    inside = (EDGES > 0) & (EDGES < 3 * 0.6487)
    np.testing.assert_array_equal(slope[:-1], inside[:-1])


def test_the_half_wave_step_is_the_best_of_a_normal_distribution() -> None:
    """mse .02344, 62.6 % zeros."""
    x = torch.special.ndtri((torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000)
    codes = quantizer(spec.SparseHalfWave()).codes(x, (), drawn=False)
    assert (codes == 0).double().mean() == pytest.approx(0.626, abs=5e-4)
    assert (x.clamp(min=0) - 0.6487 * codes).square().mean() == pytest.approx(0.02344, abs=1e-5)


def test_the_bounds_of_codes() -> None:
    made = quantizer(spec.SparseHalfWave())
    assert isinstance(made, SparseHalfWave)
    low, high = made.preimage(torch.tensor([0.0, 1, 2, 3]))
    assert low.tolist() == pytest.approx([-np.inf, 0.32, 0.97305, 1.62175])
    assert high.tolist() == pytest.approx([0.32, 0.97305, 1.62175, np.inf])


def test_against_codes_the_response_comes_nearer_to_them() -> None:
    s, w = np.maximum(RNG.normal(size=(300, 16)), 0), RNG.normal(size=(8, 16))
    p = problem(w, s)
    made = quantizer(spec.SparseHalfWave())
    codes = made.codes(p.targets, (), drawn=False)
    bounds = made.preimage(codes)
    assert bounds is not None
    low, high = bounds
    against = Problem(p.weight, p.inputs, p.targets, p.draw, lambda y: y.clamp(low, high))

    def wrong(weight: Tensor) -> float:
        y = s_ @ weight.T
        return float((y - y.clamp(low, high)).square().sum())

    s_ = torch.from_numpy(s)
    plain = optimal_ternary(p.flat)
    plain = (
        plain * (p.flat.abs() * plain.abs()).sum(dim=1, keepdim=True) / plain.abs().sum(dim=1, keepdim=True)
    )
    solved = quantizer(spec.OptimalTernary(solve=True)).solve(against)
    assert wrong(solved) < wrong(plain)
    magnitudes = [sorted(set(row.abs().tolist())) for row in solved]
    assert all(len(row) <= 2 for row in magnitudes)


# ------------------------------------------------------------------------------- ternary residual


@pytest.mark.parametrize("block", [None, 4, 5, 64])
def test_terms_are_greedy(block: int | None) -> None:
    w = RNG.normal(size=(3, 2, 3, 3))
    made = quantizer(spec.TernaryResidual(terms=2, block=block))
    codes = made.codes(torch.from_numpy(w), (1, 2, 3), drawn=False)
    factors = made.factors(torch.from_numpy(w), codes, (1, 2, 3)) if made.bases else None
    found = codes if factors is None else (codes * factors).sum(dim=0)
    rest, size = w.reshape(3, -1).copy(), block or 18
    for row in rest:
        for at in range(0, 18, size):
            for _ in range(2):
                t = by_trial(row[at : at + size])
                row[at : at + size] -= t * (t * row[at : at + size]).sum() / max(1, np.abs(t).sum())
    np.testing.assert_allclose(found, w - rest.reshape(w.shape), atol=1e-12)


def test_the_budget_goes_to_the_layers_that_suffer() -> None:
    options = spec.TernaryResidual(terms=3, budget=1.6)
    made = [quantizer(options) for _ in range(3)]
    spread = [np.ones((4, 10)), RNG.normal(size=(4, 10)), RNG.normal(size=(4, 10)) ** 3]
    for one, w in zip(made, spread, strict=True):
        one.solve(problem(w, np.eye(10)))
    left = made[0].settle(made)
    kept = [int(one.kept) for one in made if isinstance(one, TernaryResidual)]
    assert kept == [1, 2, 1] or kept == [1, 1, 2]  # 24 of 40 weights: no second term is half paid
    assert left is not None
    assert left[0] == pytest.approx(0, abs=1e-12)


def test_a_measured_range_is_that_of_the_inputs() -> None:
    made = InputQuantizer(ActivationSpec(pre=Measured(), quantizer=spec.Uniform(bits=8)), 1)
    made.pre.measure([torch.tensor([-3.0, 0.5]), torch.tensor([2.0, 1.0])])
    x = torch.tensor([-1.0, -0.0, 0.3, 2.0, 5.0], requires_grad=True)
    np.testing.assert_allclose(
        made(x).detach(), np.rint(np.clip([-1, 0, 0.3, 2, 5], 0, 2) * 255 / 2) * 2 / 255, rtol=1e-6
    )
    made.pre.measure([torch.tensor([-3.0])])
    assert made(x).tolist() == [0.0] * 5


def test_the_window_of_the_half_wave() -> None:
    made = ESTIMATORS.build(PositiveWindow(end=2.0))
    x = torch.tensor([-1.0, 0.0, 1.0, 2.0, 3.0])
    assert made.slope(torch.ones(5), x).tolist() == [0, 0, 1, 0, 0]
