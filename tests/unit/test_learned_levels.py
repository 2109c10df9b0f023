"""LQ-Nets' levels and ReBNet's residual signs against numpy (arXiv 1807.10029, 1711.01243)."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.config.merge import merge
from bnn_train.spec.method import ActivationSpec, Method
from bnn_train.spec.methods import METHODS

Array = NDArray[np.float64]
RNG = np.random.default_rng(4)


def row(name: str, weight: int = 2, activation: int = 2) -> Method:
    axes: dict[str, Any] = {"activation": {"quantizer": {"bases": activation}}}
    if name == "lqnets":
        axes["weight"] = {"quantizer": {"bases": weight}}
    return Method.model_validate(merge(METHODS[name].model_dump(), axes))


def signs(x: Array) -> Array:
    return np.where(x < 0, -1.0, 1.0)


def nearest(x: Array, v: Array, digits: tuple[int, int]) -> tuple[Array, Array]:
    """Values and codes (K×…) of the nearest sum of v with ``digits``; halfway, the upper."""
    codes = np.array(list(product(digits, repeat=len(v))), np.float64)
    codes = codes[np.argsort(codes @ v, kind="stable")]
    levels = codes @ v
    limits = (levels[1:] + levels[:-1]) / 2
    index = (x[..., None] >= limits).sum(axis=-1)
    return levels[index], np.moveaxis(codes[index], -1, 0)


def turned(x: Array, codes: Array, v: Array, momentum: float = 0.9) -> Array:
    """A turn of QEM with the ridge 1e-4."""
    b = codes.reshape(len(v), -1)
    new = np.linalg.solve(b @ b.T + 1e-4 * np.eye(len(v)), b @ x.reshape(-1) + 1e-4 * v)
    return momentum * v + (1 - momentum) * new


def activation(bases: int) -> InputQuantizer:
    axes = {"pre": "relu", "quantizer": {"name": "unsigned_levels", "bases": bases}, "estimator": "identity"}
    return InputQuantizer(ActivationSpec.model_validate(axes), 1).double()


@pytest.mark.parametrize("bases", [1, 2, 3, 4])
def test_activations_follow_their_numbers(bases: int) -> None:
    """The pass has the basis from before; then v ← 0.9·v + 0.1·v_new."""
    made = activation(bases).train()
    v = 2.0 ** np.arange(bases) * 2 * 0.6745 / (2**bases - 1)
    for _ in range(3):
        x = RNG.normal(size=(6, 40)) * 0.8
        expected, codes = nearest(np.maximum(x, 0), v, (0, 1))
        np.testing.assert_allclose(made(torch.from_numpy(x)).numpy(), expected, atol=1e-6)
        v = turned(np.maximum(x, 0), codes, v)
        basis = made.quantizer.state_dict()["basis"].flatten()
        np.testing.assert_allclose(basis.numpy(), sorted(v, key=abs), rtol=1e-6)
    made.eval()
    x = RNG.normal(size=(6, 40))
    expected, _ = nearest(np.maximum(x, 0), v, (0, 1))
    np.testing.assert_allclose(made(torch.from_numpy(x)).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(made.decompose(torch.from_numpy(x)).value.numpy(), expected, atol=1e-6)
    np.testing.assert_array_equal(made.quantizer.state_dict()["basis"], basis[:, None])


def test_a_basis_number_below_zero() -> None:
    """{0, 1} codes of v = (−0.3, 1): levels −0.3, 0, 0.7, 1, and a step that knows them."""
    made, v = activation(2), np.array([-0.3, 1.0])
    made.quantizer.basis.copy_(torch.tensor(v)[:, None])  # type: ignore[operator]  # a buffer
    x = np.array([[0, 0.1, 0.34, 0.36, 0.84, 0.86, 5]])
    expected, codes = nearest(x, v, (0, 1))
    np.testing.assert_allclose(made.eval()(torch.from_numpy(x)).numpy(), expected, atol=1e-12)
    made.train()(torch.from_numpy(x))
    found = made.quantizer.state_dict()["basis"].flatten().numpy()
    np.testing.assert_allclose(found, sorted(turned(x, codes, v), key=abs), rtol=1e-9)


def test_at_thresholds_zero_and_nan() -> None:
    made = activation(2).eval()
    v = float(made.quantizer.basis[0])  # type: ignore[index]  # a buffer
    x = torch.tensor([[-1, -0.0, 0.0, v / 2, np.nextafter(v / 2, 0), 2.5 * v, np.nan]], dtype=torch.float64)
    expected = np.array([[0, 0, 0, v, 0, 3 * v, 3 * v]])
    np.testing.assert_allclose(made(x).numpy(), expected, atol=1e-12)


def test_unused_basis_numbers_stay() -> None:
    """Inputs of zeros use no code at all."""
    made = activation(2).train()
    before = made.quantizer.state_dict()["basis"].clone()
    made(torch.zeros(3, 5, dtype=torch.float64))
    torch.testing.assert_close(made.quantizer.state_dict()["basis"], before)


@pytest.mark.parametrize("granularity", ["channel", "layer"])
@pytest.mark.parametrize("bases", [1, 2, 3, 4])
def test_weights_follow_their_numbers(bases: int, granularity: str) -> None:
    axes = {"weight": {"quantizer": {"bases": bases}, "granularity": granularity}}
    method = Method.model_validate(merge(METHODS["lqnets"].model_dump(), axes))
    layer = BinaryConv2d(3, 4, (3, 2), bias=False, method=method, role="body").double()
    w = layer.weight.detach().numpy()
    groups = list(w) if granularity == "channel" else [w]
    start = 2.0 ** np.arange(bases) * 0.6745 * (2 / (6 * 4)) ** 0.5 / 2 ** (bases - 1)
    v = [start.copy() for _ in groups]
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    for _ in range(3):
        found = [nearest(group, each, (-1, 1)) for group, each in zip(groups, v, strict=True)]
        expected = np.stack([value for value, _ in found]).reshape(w.shape)
        np.testing.assert_allclose(layer.codes().value.detach().numpy(), expected, atol=1e-7)
        layer.train()(x)
        v = [turned(g, codes, each) for g, (_, codes), each in zip(groups, found, v, strict=True)]
        v = [np.sort(np.abs(each)) for each in v]
        layer.eval()(x)


def test_gradients_of_levels() -> None:
    """∂L/∂w = ∂L/∂ŵ; ∂L/∂x = ∂L/∂x̂ where 0 < x ≤ the highest level, else 0."""
    layer = BinaryLinear(9, 5, bias=False, method="lqnets", role="body").double()
    assert layer.input_quantizer is not None
    top = float(layer.input_quantizer.quantizer.basis.sum())  # type: ignore[operator]  # a buffer
    numbers = RNG.normal(size=(7, 9)) * 1.5
    numbers[0, :4] = [0, -0.0, top, np.nextafter(top, 9)]
    x = torch.from_numpy(numbers.copy()).requires_grad_()
    g = RNG.normal(size=(7, 5))
    value, weight = layer.input_quantizer.eval()(x).detach().numpy(), layer.codes().value.detach().numpy()
    layer.input_quantizer.train()
    layer(x).backward(torch.from_numpy(g))
    assert x.grad is not None
    assert layer.weight.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), (g @ weight) * ((numbers > 0) & (numbers <= top)), atol=1e-12)
    np.testing.assert_allclose(layer.weight.grad.numpy(), g.T @ value, atol=1e-12)


def test_a_padded_tap_is_zero_and_no_level() -> None:
    layer = BinaryConv2d(2, 3, 3, padding=1, bias=False, method="lqnets", role="body").double().eval()
    x = torch.randn(2, 2, 4, 5, dtype=torch.float64)
    assert layer.input_quantizer is not None
    seen = layer.input_quantizer(x)
    torch.testing.assert_close(layer(x), torch.nn.functional.conv2d(seen, layer.read_weight(), padding=1))


@pytest.mark.parametrize("bases", [1, 2, 3])
def test_residual_signs(bases: int) -> None:
    """x̂ = Σ |γᵢ|·sign(rᵢ), rᵢ₊₁ = rᵢ − |γᵢ|·sign(rᵢ); gradients of x, γ, γ_w and w by the chain."""
    layer = BinaryLinear(9, 5, bias=False, method=row("rebnet", activation=bases), role="body").double()
    assert layer.input_quantizer is not None
    assert layer.weight_quantizer is not None
    gamma, own = next(layer.input_quantizer.parameters()), layer.weight_quantizer.scale.alpha
    assert own is not None
    start = np.arange(bases, 0, -1) / sum(range(bases + 1))
    np.testing.assert_allclose(gamma.detach(), start, rtol=1e-6)
    assert own.tolist() == [1.0]
    with torch.no_grad():
        gamma[0] *= -1.25
        own.fill_(-0.7)
    x = torch.from_numpy(RNG.normal(size=(7, 9))).requires_grad_()
    g = RNG.normal(size=(7, 5))
    layer(x).backward(torch.from_numpy(g))
    w, factors = layer.weight.detach().numpy(), np.abs(gamma.detach().numpy())
    residuals, seen = [x.detach().numpy()], np.zeros((7, 9))
    for v in factors:
        seen = seen + v * signs(residuals[-1])
        residuals.append(residuals[-1] - v * signs(residuals[-1]))
    gx, later = g @ (0.7 * signs(w)), np.zeros((7, 9))
    for i in reversed(range(bases)):
        s = signs(residuals[i])
        own_gradient = (s * (gx - later)).sum() * np.sign(float(gamma.detach()[i]))
        assert gamma.grad is not None
        np.testing.assert_allclose(float(gamma.grad[i]), own_gradient, atol=1e-10)
        later = later + factors[i] * (gx - later) * (np.abs(residuals[i]) <= 1)
    grads: list[Tensor | None] = [x.grad, layer.weight.grad, own.grad]
    gw = g.T @ seen
    wanted = [later, 0.7 * gw * (np.abs(w) <= 1), [-(gw * signs(w)).sum()]]
    for found, value in zip(grads, wanted, strict=True):
        assert found is not None
        np.testing.assert_allclose(found.numpy(), value, atol=1e-10)
