"""Trained ternary weights against numpy (arXiv 1612.01064)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.binary.quantizers.trained_ternary import TrainedTernary
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from bnn_train.spec.quantizers import TrainedTernary as Options

RNG = np.random.default_rng(5)
TTQ = METHODS["ttq"]


def ternary_of(layer: Any) -> TrainedTernary:
    found = layer.weight_quantizer.quantizer
    assert isinstance(found, TrainedTernary)
    return found


def dense(inputs: int = 9, outputs: int = 5, method: Method = TTQ) -> BinaryLinear:
    """With W_p = 1.3 and W_n = 0.7."""
    layer = BinaryLinear(inputs, outputs, bias=False, method=method, role="body").double()
    with torch.no_grad():
        ternary_of(layer).positive.fill_(1.3)
        ternary_of(layer).negative.fill_(0.7)
    return layer


def zones(w: np.ndarray, threshold: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    delta = threshold * np.abs(w).max()
    return w > delta, w < -delta


def grad(p: Tensor) -> np.ndarray:
    assert p.grad is not None
    return p.grad.numpy()


def test_the_two_values_and_zero() -> None:
    layer = dense()
    w = layer.weight.detach().numpy()
    with torch.no_grad():
        layer.weight[0, :3] = torch.tensor([0.0, -0.0, 0.01])
    above, below = zones(w)
    np.testing.assert_allclose(layer.read_weight().detach().numpy(), 1.3 * above - 0.7 * below, atol=1e-15)
    assert (~(above | below)).sum() >= 3


def test_the_threshold_itself_is_zero() -> None:
    """Δ = ½·max|w|, whose codes are exact."""
    made = TrainedTernary(Options(threshold=0.5))
    w = torch.tensor([[1.0, 0.5, -0.5, 0.50001, -0.50001, -1.0]])
    codes = made.codes(w, (0, 1), drawn=False)
    np.testing.assert_array_equal(codes[:2].sum(dim=0).numpy() / 2, [[1, 0, 0, 1, -1, -1]])


def test_golden_planes() -> None:
    """W_p = 1.3, W_n = 0.7: c₀ = 0.3, v = (0.65, 0.35) give −0.7, 0, 1.3."""
    layer = dense()
    with torch.no_grad():
        layer.weight[0, :3] = torch.tensor([-1.0, 0.0, 1.0])
    found = layer.codes()
    np.testing.assert_allclose(torch.as_tensor(found.factors).flatten().numpy(), [0.65, 0.35, 0.3])
    np.testing.assert_array_equal(found.numbers[2].numpy(), np.ones((5, 9)))
    np.testing.assert_allclose(found.value[0, :3].numpy(), [-0.7, 0, 1.3], atol=1e-15)


@pytest.mark.parametrize("activation", ["none", "sign", "uniform"])
def test_gradients_are_those_of_the_paper(activation: str) -> None:
    """∂L/∂W_p = Σ_{w > Δ} g, ∂L/∂W_n = −Σ_{w < −Δ} g, ∂L/∂w = g·(W_p | 1 | W_n)."""
    row = METHODS["dorefa"] if activation == "uniform" else METHODS["bnn"]
    seen_by = METHODS["fp"] if activation == "none" else row
    layer = dense(method=TTQ.model_copy(update={"activation": seen_by.activation}))
    x = torch.from_numpy(RNG.normal(size=(7, 9)))
    y = layer(x)
    g = RNG.normal(size=(7, 5))
    y.backward(torch.from_numpy(g))
    above, below = zones(layer.weight.detach().numpy())
    seen = layer.read_input(x).detach().numpy()
    gw = g.T @ seen
    np.testing.assert_allclose(y.detach().numpy(), seen @ (1.3 * above - 0.7 * below).T, atol=1e-12)
    np.testing.assert_allclose(grad(layer.weight), gw * (1.3 * above + 0.7 * below + ~(above | below)))
    np.testing.assert_allclose(grad(ternary_of(layer).positive), (gw * above).sum())
    np.testing.assert_allclose(grad(ternary_of(layer).negative), -(gw * below).sum())


def test_the_border_counts_only_taps_in_the_image() -> None:
    """Zeros around the signs of a map stay 0 whatever the offset of the weights."""
    method = TTQ.model_copy(update={"activation": METHODS["bnn"].activation})
    layer = BinaryConv2d(2, 3, 3, padding=1, bias=False, method=method, role="body").double()
    with torch.no_grad():
        ternary_of(layer).positive.fill_(1.7)
    x = torch.randn(2, 2, 4, 5, dtype=torch.float64)
    truth = nn.functional.conv2d(torch.where(x < 0, -1.0, 1.0).double(), layer.read_weight(), padding=1)
    torch.testing.assert_close(layer(x), truth)


def test_equal_values_are_plain_ternary_weights() -> None:
    layer = dense()
    with torch.no_grad():
        ternary_of(layer).negative.fill_(1.3)
    assert set(np.round(np.unique(layer.read_weight().detach().numpy()), 12)) <= {-1.3, 0.0, 1.3}
    assert float(torch.as_tensor(layer.codes().factors).flatten()[2]) == 0


def test_they_start_at_one_and_do_not_decay() -> None:
    layer = BinaryLinear(9, 5, method="ttq", role="body")
    made = ternary_of(layer)
    assert [float(p.detach()) for p in (made.positive, made.negative)] == [1, 1]
    assert made.weight_decay == 0
