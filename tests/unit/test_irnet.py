"""IR-Net's weights, estimator and curve against their formulas in numpy (arXiv 1909.10788; authors' code)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.binary.placed import place
from bnn_train.spec.annealed import Position


def sharpness(epoch: int, epochs: int) -> float:
    """t = T_min·10^((e/E)·log₁₀(T_max/T_min)), T from 1e-3 to 10."""
    return float(1e-3 * 10 ** (epoch / epochs * np.log10(10 / 1e-3)))


def standardized(w: np.ndarray) -> np.ndarray:
    flat = w.reshape(len(w), -1)
    return np.asarray((flat - flat.mean(1, keepdims=True)) / flat.std(1, ddof=1, keepdims=True)).reshape(
        w.shape
    )


def layer() -> BinaryConv2d:
    made = BinaryConv2d(3, 4, 3, bias=False, method="irnet", role="body").double()
    with torch.no_grad():
        made.weight.mul_(3).add_(0.4)  # neither balanced nor of unit deviation
    return made


def test_weights_are_balanced_signs_times_a_power_of_two() -> None:
    made = layer()
    u = standardized(made.weight.detach().numpy())
    scale = 2.0 ** np.round(np.log2(np.abs(u).mean(axis=(1, 2, 3), keepdims=True)))
    np.testing.assert_allclose(made.read_weight().detach().numpy(), scale * np.where(u < 0, -1, 1))
    assert made.codes().value.numpy().tolist() == made.read_weight().tolist()


@pytest.mark.parametrize("epoch", [0, 30, 99])
def test_the_gradient_passes_estimator_deviation_and_mean(epoch: int) -> None:
    """∂L/∂u = s·k·t·(1 − tanh²(t·u))·g, then the Jacobian of (w − mean)/σ, written out."""
    made = layer()
    place(made, Position(step=epoch, epoch=float(epoch), epochs=100))
    made.train()
    g = np.random.default_rng(0).normal(size=made.weight.shape)
    made.read_weight().backward(torch.from_numpy(g))
    w = made.weight.detach().numpy()
    u, t = standardized(w), sharpness(epoch, 100)
    scale = 2.0 ** np.round(np.log2(np.abs(u).mean(axis=(1, 2, 3), keepdims=True)))
    gu = (scale * max(1 / t, 1) * t * (1 - np.tanh(t * u) ** 2) * g).reshape(len(w), -1)
    flat, n = u.reshape(len(w), -1), u[0].size
    sigma = w.reshape(len(w), -1).std(1, ddof=1, keepdims=True)
    along = (gu * flat).sum(1, keepdims=True) * flat / (n - 1)
    expected = (gu - gu.mean(1, keepdims=True) - along) / sigma
    assert made.weight.grad is not None
    np.testing.assert_allclose(made.weight.grad.numpy().reshape(len(w), -1), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("epoch", "slope"), [(0, 1.0), (25, 1.0), (50, 1.0), (75, 1.0), (100, 10.0)])
def test_the_slope_at_zero_is_one_until_t_is(epoch: int, slope: float) -> None:
    made = layer()
    place(made, Position(epoch=float(epoch), epochs=100))
    x = torch.zeros(1, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    assert made.input_quantizer is not None
    made.input_quantizer(x).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), slope, rtol=1e-6)


def test_equal_weights_give_zeros() -> None:
    """A filter of equal weights has σ = 0, and 0/0 would be NaN in the output and in every gradient."""
    made = BinaryLinear(9, 5, method="irnet", role="body")
    with torch.no_grad():
        made.weight[2] = 0.25
    y = made(torch.randn(4, 9))
    y.square().sum().backward()
    assert torch.isfinite(y).all()
    assert not made.read_weight()[2].any()
    assert made.weight.grad is not None
    assert torch.isfinite(made.weight.grad).all()
