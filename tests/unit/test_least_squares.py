"""Signs of residuals with measured factors (LS, GF, HORQ) against numpy (arXiv 2001.02786, 1708.08687)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.config.merge import merge
from bnn_train.spec.method import ActivationSpec, Method
from bnn_train.spec.methods import METHODS

Array = NDArray[np.float64]
RNG = np.random.default_rng(3)
NORMAL = np.random.default_rng(0).normal(size=(1, 400_000))


def quantizer(name: str, **options: Any) -> InputQuantizer:
    axes = {"quantizer": {"name": name, **options}, "estimator": "clip"}
    return InputQuantizer(ActivationSpec.model_validate(axes), 1).double()


def row(name: str, **quantizer: Any) -> Method:
    axes = {"activation": {"quantizer": quantizer}}
    return Method.model_validate(merge(METHODS[name].model_dump(), axes))


def signs(x: Array) -> Array:
    return np.where(x < 0, -1.0, 1.0)


def chain(x: Array, factors: list[float]) -> list[Array]:
    found = []
    for v in factors:
        found.append(signs(x))
        x = x - v * found[-1]
    return found


def greedy(x: Array, count: int) -> list[float]:
    factors = []
    for _ in range(count):
        factors.append(float(np.abs(x).mean()))
        x = x - factors[-1] * signs(x)
    return factors


def best_pair(x: Array) -> list[float]:
    """Both means of every way to part the sorted |x|, and the error of each, written out."""
    a = np.sort(np.abs(x).ravel())
    tried = []
    for k in range(1, len(a)):
        low, high = a[:k].mean(), a[k:].mean()
        v = [(high + low) / 2, (high - low) / 2]
        tried.append((float(((x - value(x, v)) ** 2).sum()), v))
    return [float(v) for v in min(tried)[1]]


def best_ternary(x: Array) -> list[float]:
    a = np.sort(np.abs(x).ravel())
    tried = []
    for k in range(len(a)):
        v = a[k:].mean() / 2
        tried.append((float(((x - value(x, [v, v])) ** 2).sum()), v))
    return [float(min(tried)[1])] * 2


def value(x: Array, factors: list[float]) -> Array:
    return np.asarray(sum(v * s for v, s in zip(factors, chain(x, factors), strict=True)))


FORMULAS = {
    "greedy": lambda x: greedy(x, 2),
    "least_squares": best_pair,
    "least_squares_ternary": best_ternary,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_training_measures_each_image(name: str) -> None:
    made = quantizer(name).train()
    x = RNG.normal(size=(5, 3, 4, 2)) * np.array([1, 0.1, 3, 1, 2])[:, None, None, None]
    expected = np.stack([value(image, FORMULAS[name](image)) for image in x])
    np.testing.assert_allclose(made(torch.from_numpy(x)).numpy(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "options", "factors", "error"),
    [
        ("greedy", {"bases": 1}, [0.7979], 0.3634),
        ("greedy", {"bases": 2}, [0.7979, 0.4826], 0.1305),
        ("greedy", {"bases": 3}, [0.7979, 0.4826, 0.2684], 0.0584),
        ("greedy", {"bases": 4}, [0.7979, 0.4826, 0.2684, 0.1597], 0.0329),
        ("least_squares", {}, [0.9816, 0.5288], 0.11748),
        ("least_squares", {"skip": 3}, [0.9816, 0.5288], 0.11748),
        ("least_squares_ternary", {}, [0.6120, 0.6120], 0.19017),
    ],
)
def test_of_normal_numbers(name: str, options: Any, factors: list[float], error: float) -> None:
    """The published values for N(0, 1)."""
    made, x = quantizer(name, **options).train(), torch.from_numpy(NORMAL)
    found = made.coded(x)[1]
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.flip(0).flatten(), factors, atol=4e-3)
    assert float((made(x) - x).square().mean()) == pytest.approx(error, abs=1.5e-3)


def test_one_sign_is_least_squares_and_the_scale_of_a_weight() -> None:
    """LS-1 ≡ GF-1 ≡ α."""
    layer = BinaryLinear(30, 1, method="ls1", role="body")
    made = quantizer("greedy", bases=1).float().train()
    torch.testing.assert_close(made(layer.weight.detach()), layer.read_weight().detach())


@pytest.mark.parametrize(("x", "v"), [([3, 3, 3, 3], 1.5), ([1, 1.2, 0.8, 1], 0.5), ([-4.0], 2.0)])
def test_ternary_without_zeros(x: list[float], v: float) -> None:
    """Where no |x| is small beside the mean, v is half of it."""
    made = quantizer("least_squares_ternary").train()
    _, factors = made.coded(torch.tensor([x], dtype=torch.float64))
    torch.testing.assert_close(torch.as_tensor(factors).flatten(), torch.full((2,), v, dtype=torch.float64))


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("shape", [(4, 1), (2, 3)])
def test_equal_and_zero_numbers_give_no_nan(name: str, shape: tuple[int, int]) -> None:
    made = quantizer(name).train()
    for number in (0.0, -0.0, 2.0):
        x = torch.full(shape, number, dtype=torch.float64)
        torch.testing.assert_close(made(x), x, atol=2.0, rtol=0)
        assert torch.isfinite(made(x)).all()


def test_evaluations_take_the_moving_average() -> None:
    """The first batch's mean, then 0.99 of the past; ±0, thresholds and NaN fall on the upper side."""
    made = quantizer("greedy").train()
    batches = [torch.from_numpy(RNG.normal(size=(4, 9))) for _ in range(3)]
    average = np.zeros(2)
    for i, x in enumerate(batches):
        made(x)
        new = np.mean([greedy(image, 2) for image in x.numpy()], axis=0)
        average = new if i == 0 else 0.99 * average + 0.01 * new
    made.eval()
    v1, v2 = (float(v) for v in made.quantizer.average)  # type: ignore[union-attr]  # a buffer
    np.testing.assert_allclose([v1, v2], average)
    x = torch.tensor([[-9, -v1, -0.0, 0.0, v1, np.nextafter(v1, 0), np.nan]], dtype=torch.float64)
    expected = [-v1 - v2, -v1 + v2, v1 - v2, v1 - v2, v1 + v2, v1 - v2, v1 + v2]
    np.testing.assert_array_equal(made(x).numpy(), [expected])
    before = made.quantizer.state_dict()["average"].clone()
    made.decompose(x)
    assert torch.equal(before, made.quantizer.state_dict()["average"])


@pytest.mark.parametrize("name", ["ls1", "gf2", "ls2", "lst"])
def test_gradients_are_those_of_the_chain(name: str) -> None:
    """∂x̂/∂x = Σ vᵢ·mᵢ·Π_{j<i}(1 − vⱼ·mⱼ) over chains: by the recurrence rᵢ₊₁ = rᵢ − vᵢ·sᵢ; |x| beyond the
    clamp gets none; the factors are constants. ∂L/∂w = α·g·1[|w| ≤ 1]."""
    layer = BinaryLinear(9, 5, bias=False, method=name, role="body").double().train()
    assert layer.input_quantizer is not None
    x = torch.from_numpy(RNG.normal(size=(7, 9)) * 1.5).requires_grad_()
    g = RNG.normal(size=(7, 5))
    layer(x).backward(torch.from_numpy(g))
    clipped = np.clip(x.detach().numpy(), -2, 2)
    found = layer.input_quantizer.coded(x.detach())[1]
    slope, seen = np.zeros_like(clipped), np.zeros_like(clipped)
    r, moved = clipped.copy(), np.ones_like(clipped)
    for v in torch.as_tensor(found).flip(0).numpy():
        m = (np.abs(r) <= 1) * moved  # ∂s/∂x
        slope, seen = slope + v * m, seen + v * signs(r)
        r, moved = r - v * signs(r), moved - v * m
    w = layer.weight.detach().numpy()
    alpha = np.abs(w).mean(axis=1, keepdims=True)
    assert x.grad is not None
    assert layer.weight.grad is not None
    inside = np.abs(x.detach().numpy()) <= 2
    np.testing.assert_allclose(x.grad.numpy(), g @ (alpha * signs(w)) * slope * inside, atol=1e-12)
    np.testing.assert_allclose(layer.weight.grad.numpy(), (g.T @ seen) * alpha * (np.abs(w) <= 1), atol=1e-12)


def test_horq_of_one_column_is_gf2() -> None:
    x = torch.randn(6, 8, dtype=torch.float64)
    layers = [
        BinaryLinear(8, 3, method=row("horq", **options), role="body").double()
        for options in ({}, {"stat": "ema"}, {"stat": "batch"})
    ]
    for other in layers[1:]:
        other.load_state_dict(layers[0].state_dict(), strict=False)
    results = [layer.train()(x) for layer in layers]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
    assert torch.equal(layers[0].eval()(x), results[0])


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"padding": 1}, {"padding": (0, 2), "dilation": 2}])
def test_horq_of_order_one_is_xnor_with_its_k(options: Any) -> None:
    horq = BinaryConv2d(3, 4, 3, method=row("horq", bases=1), role="body", **options).double()
    xnor = BinaryConv2d(3, 4, 3, method="xnor_k", role="body", **options).double()
    xnor.load_state_dict(horq.state_dict())
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(horq(x), xnor(x))


def test_horq_measures_each_window() -> None:
    """β₁ = mean |x| of the window, β₂ that of what is left; padded taps count as 0 and have no sign."""
    layer = BinaryConv2d(2, 3, 3, padding=1, bias=False, method="horq", role="body").double()
    x = RNG.normal(size=(2, 2, 4, 5))
    w = layer.read_weight().detach().numpy()
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    known = np.pad(np.ones_like(x), ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = np.zeros((2, 3, 4, 5))
    for n, i, j in np.ndindex(2, 4, 5):
        window, inside = padded[n, :, i : i + 3, j : j + 3], known[n, :, i : i + 3, j : j + 3]
        seen = np.zeros_like(window)
        for _ in range(2):
            part = np.abs(window - seen).mean() * signs(window - seen) * inside
            seen = seen + part
        expected[n, :, i, j] = (w * seen).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-12)


def test_horq_before_real_weights() -> None:
    """A first stage of real weights sees the same numbers."""
    method = METHODS["horq"].model_copy(update={"weight": METHODS["fp"].weight})
    stage = BinaryConv2d(2, 3, 3, padding=1, bias=False, method=method, role="body").double()
    layer = BinaryConv2d(2, 3, 3, padding=1, bias=False, method="horq", role="body").double()
    with torch.no_grad():
        stage.weight.copy_(layer.read_weight())
    x = torch.randn(2, 2, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(stage(x), layer(x))
