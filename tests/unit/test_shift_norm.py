"""Shift-based batch norm and AP2 against algorithm 2 of arXiv 1602.02830 written out in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bnn_train.binary.factory import Layers
from bnn_train.binary.shift_norm import ShiftNorm1d, ShiftNorm2d, ap2
from bnn_train.spec.method import NormSpec
from bnn_train.spec.methods import METHODS
from bnn_train.training.evaluate import reestimate_norms

Array = NDArray[np.float64]
EPS = 1e-5


def np_ap2(x: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.where(x == 0, 0.0, np.sign(x) * 2.0 ** np.round(np.log2(np.abs(x))))


def norm2d() -> ShiftNorm2d:
    """Three channels, γ and β off their starts, one γ negative."""
    layer = ShiftNorm2d(3, eps=EPS, momentum=0.125).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.3, -0.4, 3.1]))
        layer.bias.copy_(torch.tensor([0.1, -0.2, 0.3]))
    return layer


def images() -> Array:
    return np.random.default_rng(0).normal(0.5, 3, (6, 3, 4, 5))


def statistics(x: Array) -> tuple[Array, Array, Array]:
    """μ, C and 1/√(σ² + ε), all with the axes of x."""
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    c = x - mean
    return mean, c, 1 / np.sqrt((c * np_ap2(c)).mean(axis=(0, 2, 3), keepdims=True) + EPS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ap2_is_the_nearest_power_of_two_by_its_logarithm(dtype: torch.dtype) -> None:
    x = torch.cat([torch.linspace(-70, 70, 1001), torch.tensor([1e-20, -3e8, 1.0, -1.0])]).to(dtype)
    np.testing.assert_array_equal(ap2(x).numpy(), np_ap2(x.double().numpy()))


def test_ap2_of_zero_and_beside_the_root_of_two() -> None:
    root = np.float32(math.sqrt(2))
    below, above = (
        (root, np.nextafter(root, np.float32(2))) if root**2 < 2 else (np.nextafter(root, root), root)
    )
    assert ap2(torch.tensor([0.0, -0.0, float(below), float(above)])).tolist() == [0, 0, 1, 2]


def test_training_is_algorithm_2() -> None:
    layer, x = norm2d(), images()
    gamma, beta = layer.weight.detach().numpy()[:, None, None], layer.bias.detach().numpy()[:, None, None]
    _, c, scale = statistics(x)
    expected = np_ap2(gamma) * (c * np_ap2(scale)) + beta
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-12)


def test_the_gradient_is_batch_norms_with_the_rounded_values() -> None:
    layer, x = norm2d(), images()
    inputs = torch.from_numpy(x).requires_grad_()
    g = np.random.default_rng(1).normal(size=x.shape)
    layer(inputs).backward(torch.from_numpy(g))
    _, c, scale = statistics(x)
    power, p, axes = np_ap2(scale), np_ap2(c), (0, 2, 3)
    h = g * np_ap2(layer.weight.detach().numpy())[:, None, None]
    slope = (h * p).mean(axis=axes, keepdims=True)
    expected = power * (h - h.mean(axis=axes, keepdims=True) - p * power**2 * slope)
    assert inputs.grad is not None
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    np.testing.assert_allclose(inputs.grad.numpy(), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer.weight.grad.numpy(), (g * p * power).sum(axis=axes), rtol=1e-9)
    np.testing.assert_allclose(layer.bias.grad.numpy(), g.sum(axis=axes), rtol=1e-9)


def test_running_statistics_are_of_the_mean_and_of_one_over_sigma() -> None:
    layer, x = norm2d(), images()
    layer(torch.from_numpy(x))
    mean, _, scale = statistics(x)
    assert layer.running_mean is not None
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.125 * mean.ravel(), rtol=1e-12)
    np.testing.assert_allclose(layer.running_scale.numpy(), 0.875 + 0.125 * scale.ravel(), rtol=1e-12)


def test_evaluation_rounds_the_running_scale() -> None:
    layer, x = norm2d().eval(), images()
    assert layer.running_mean is not None
    layer.running_scale.copy_(torch.tensor([0.3, 1.4, 5.0]))
    layer.running_mean.copy_(torch.tensor([0.5, -1.0, 2.0]))
    gamma, beta = layer.weight.detach().numpy()[:, None, None], layer.bias.detach().numpy()[:, None, None]
    mean, power = np.array([0.5, -1, 2])[:, None, None], np.array([0.25, 1, 4])[:, None, None]
    expected = (x - mean) * power * np_ap2(gamma) + beta
    before = {name: t.clone() for name, t in layer.state_dict().items()}
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-12)
    assert all(torch.equal(t, before[name]) for name, t in layer.state_dict().items())


def test_vectors_are_maps_of_one_pixel() -> None:
    x = torch.from_numpy(images()).float()[:, :, 0, 0]
    vector, plane = ShiftNorm1d(3, eps=EPS, momentum=0.1), ShiftNorm2d(3, eps=EPS, momentum=0.1)
    torch.testing.assert_close(vector(x), plane(x[:, :, None, None])[:, :, 0, 0])


def test_reestimated_statistics_are_plain_means() -> None:
    layer, x = norm2d(), images()
    halves = [torch.from_numpy(x[:3]), torch.from_numpy(x[3:])]
    reestimate_norms(layer, [(half, torch.zeros(3)) for half in halves])
    expected = [statistics(half.numpy())[2].ravel() for half in halves]
    np.testing.assert_allclose(layer.running_scale.numpy(), np.mean(expected, axis=0), rtol=1e-12)
    assert layer.momentum == 0.125


def test_the_factory_makes_them_but_for_the_output() -> None:
    method = METHODS["bnn"].model_copy(update={"norm": NormSpec(kind="shift", momentum=0.125)})
    layers = Layers(method)
    assert isinstance(layers.norm2d(4), ShiftNorm2d)
    assert isinstance(layers.norm1d(4), ShiftNorm1d)
    assert type(layers.norm1d(4, output=True)) is torch.nn.BatchNorm1d
