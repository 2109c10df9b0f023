"""DSQ's soft staircase against numpy (arXiv 1908.05033)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.binary.quantizers.soft_steps import SoftSteps
from bnn_train.config.merge import merge
from bnn_train.spec.estimators import Identity
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from bnn_train.spec.quantizers import SoftSteps as Options

PLAIN = ESTIMATORS.build(Identity())
LOWER, UPPER, ALPHA = -0.9, 1.2, 0.3


def steps(bits: int) -> SoftSteps:
    made = SoftSteps(Options(bits=bits)).double()
    with torch.no_grad():
        made.lower.fill_(LOWER)
        made.upper.fill_(UPPER)
        made.softness.fill_(ALPHA)
    return made


def row(bits: int) -> Method:
    axes: dict[str, Any] = {side: {"quantizer": {"bits": bits}} for side in ("weight", "activation")}
    return Method.model_validate(merge(METHODS["dsq"].model_dump(), axes))


def staircase(x: np.ndarray, bits: int) -> np.ndarray:
    """Nearest of the even levels, the upper one in the middle."""
    n = 2**bits - 1
    step = (UPPER - LOWER) / n
    found: np.ndarray = LOWER + step * np.floor((np.clip(x, LOWER, UPPER) - LOWER) / step + 0.5)
    return found


def soft(numbers: Tensor, x: np.ndarray, bits: int) -> Tensor:
    """Σ l + Δ·(code + (φ − φ₀)/2) with the intervals as they are at ``x``; numbers: l, u, α, then x."""
    low, high, alpha, xs = numbers[0], numbers[1], numbers[2], numbers[3:]
    n = 2**bits - 1
    step = (high - low) / n
    i = np.clip(np.floor((x - LOWER) / ((UPPER - LOWER) / n)), 0, n - 1)
    inside = torch.from_numpy((x >= LOWER) & (x <= UPPER))
    middle = low + (torch.from_numpy(i) + 0.5) * step
    phi = torch.tanh(torch.log(2 / alpha - 1) / step * (xs - middle)) / (1 - alpha)
    phi = torch.where(inside, phi, 0.0)
    code = torch.from_numpy(np.round((staircase(x, bits) - LOWER) / ((UPPER - LOWER) / n)))
    total: Tensor = (low + step * (code + (phi - phi.detach()) / 2)).sum()
    return total


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_values_are_even_steps(bits: int) -> None:
    made = steps(bits)
    x = np.concatenate([np.linspace(-1.5, 1.5, 61), [-0.0, 0.0]])
    value = made.value(torch.from_numpy(x), PLAIN, drawn=False, span=1.0)
    np.testing.assert_allclose(value.detach().numpy(), staircase(x, bits), atol=1e-12)


def test_edges() -> None:
    """The middle rounds up, as NaN does: it passes every threshold."""
    made = SoftSteps(Options())
    x = torch.tensor([-0.0, 0.0, -1e-40, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(made.codes(x, (), drawn=False)[0].numpy(), [1, 1, -1, 1, 1, -1])


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize("side", ["weight", "activation"])
def test_gradients_reach_all_that_is_learned(bits: int, side: str) -> None:
    x = np.concatenate([np.linspace(-1.4, 1.5, 24), [0.01]])
    made, here = steps(bits), torch.from_numpy(x).requires_grad_()
    if side == "weight":
        value = made.near(here.detach(), (), PLAIN)(here)
    else:
        value = made.value(here, PLAIN, drawn=False, span=1.0)
    value.sum().backward()
    numbers = torch.tensor([LOWER, UPPER, ALPHA, *x], dtype=torch.float64, requires_grad=True)
    soft(numbers, x, bits).backward()
    assert numbers.grad is not None
    learned = [p.grad for p in (made.lower, made.upper, made.softness)]
    np.testing.assert_allclose([float(g) for g in learned if g is not None], numbers.grad[:3], atol=1e-12)
    torch.testing.assert_close(here.grad, numbers.grad[3:])


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5])
def test_intervals_meet_at_whole_numbers(alpha: float) -> None:
    """s·tanh(k·Δ/2) = 1."""
    s, half = 1 / (1 - alpha), np.log(2 / alpha - 1) / 2
    np.testing.assert_allclose(s * np.tanh(half), 1)


@pytest.mark.parametrize("bits", [1, 2])
def test_a_layer_is_the_product_of_both_staircases(bits: int) -> None:
    layer = BinaryConv2d(3, 4, 3, padding=1, bias=False, method=row(bits), role="body").double()
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64).requires_grad_()
    y = layer(x)
    truth = torch.nn.functional.conv2d(layer.read_input(x), layer.read_weight(), padding=1)
    torch.testing.assert_close(y, truth)
    of = [x, *layer.parameters()]
    for one, other in zip(
        torch.autograd.grad(y.square().sum(), of), torch.autograd.grad(truth.square().sum(), of), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_the_ends_start_at_the_largest_weight() -> None:
    layer = BinaryLinear(9, 5, method="dsq", role="body")
    assert layer.weight_quantizer is not None
    made = layer.weight_quantizer.quantizer
    assert isinstance(made, SoftSteps)
    largest = layer.weight.abs().max()
    torch.testing.assert_close(made.upper.detach(), largest.detach())
    torch.testing.assert_close(made.lower.detach(), -largest.detach())


def test_crossed_ends_stay_apart() -> None:
    made = steps(1)
    with torch.no_grad():
        made.upper.fill_(-2.0)
    value = made.value(torch.linspace(-3, 3, 7, dtype=torch.float64), PLAIN, drawn=False, span=1.0)
    assert bool(value.isfinite().all())
