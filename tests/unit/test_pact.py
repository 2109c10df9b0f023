"""PACT's clip, codes, gradients and optimizer group against its formulas (arXiv 1805.06085)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.binary.layers import BinaryLinear
from bnn_train.binary.learned import learned_groups
from bnn_train.spec.method import ActivationSpec
from bnn_train.spec.methods import METHODS

ALPHA = 1.5
NEAR = [-0.1, -0.0, 0.0, ALPHA, np.nextafter(ALPHA, 2), 3.0]
X = np.concatenate([NEAR, np.random.default_rng(0).normal(size=60)])


def quantizer(bits: int) -> InputQuantizer:
    axes = METHODS["pact"].activation.model_dump() | {"quantizer": {"name": "uniform", "bits": bits}}
    made = InputQuantizer(ActivationSpec.model_validate(axes), 1).double()
    with torch.no_grad():
        made.pre.alpha.fill_(ALPHA)  # type: ignore[operator]  # a parameter
    return made


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_value_and_gradients(bits: int) -> None:
    """x̂ = round(y·n/α)·α/n with y = clip(x, 0, α); dx = g·1[0 ≤ x ≤ α], dα = Σ g·1[x ≥ α]."""
    made, n = quantizer(bits), 2**bits - 1
    x = torch.from_numpy(X.copy()).requires_grad_()
    g = np.random.default_rng(1).normal(size=X.shape)
    y = made(x)
    y.backward(torch.from_numpy(g))
    expected = np.round(np.clip(X, 0, ALPHA) / ALPHA * n) * (ALPHA / n)
    np.testing.assert_allclose(y.detach().numpy(), expected, atol=1e-12)
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), g * ((X >= 0) & (X <= ALPHA)))
    (alpha,) = made.parameters()
    assert alpha.grad is not None
    np.testing.assert_allclose(alpha.grad.numpy(), (g * (X >= ALPHA)).sum())


def test_the_gradient_of_a_product_is_that_of_its_value() -> None:
    layer = BinaryLinear(9, 4, bias=False, method="pact", role="body").double()
    x = torch.randn(5, 9, dtype=torch.float64).mul_(6).requires_grad_()
    assert layer.input_quantizer is not None
    (alpha,) = layer.input_quantizer.parameters()
    exact = torch.autograd.grad(layer(x).square().sum(), (x, alpha, layer.weight))
    plain = (layer.input_quantizer(x) @ layer.read_weight().T).square().sum()
    for found, wanted in zip(exact, torch.autograd.grad(plain, (x, alpha, layer.weight)), strict=True):
        torch.testing.assert_close(found, wanted)


def test_alpha_has_a_group_of_its_own_with_its_decay() -> None:
    layer = BinaryLinear(9, 4, method="pact", role="body")
    assert layer.input_quantizer is not None
    (group,) = [group for group in learned_groups(layer) if group.parameters]
    assert [p is q for p, q in zip(group.parameters, layer.input_quantizer.parameters(), strict=True)] == [
        True
    ]
    assert (group.rate, group.weight_decay, float(group.parameters[0].detach())) == (1.0, 2e-4, 8.0)


def test_layers_share_bits_only_with_equal_clips() -> None:
    first, second = quantizer(2), quantizer(2)
    assert first.same(second)
    with torch.no_grad():
        second.pre.alpha.add_(0.25)  # type: ignore[operator]  # a parameter
    assert not first.same(second)
    assert not first.same(quantizer(3))


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_a_clip_at_zero_gives_zeros(zero: float) -> None:
    """No 0/0 in codes, value or gradients; all of g reaches α where x is above it."""
    made = quantizer(2)
    with torch.no_grad():
        made.pre.alpha.fill_(zero)  # type: ignore[operator]  # a parameter
    x = torch.from_numpy(X.copy()).requires_grad_()
    y = made(x)
    y.sum().backward()
    (alpha,) = made.parameters()
    assert not y.any()
    assert alpha.grad is not None
    assert alpha.grad == (X >= 0).sum()
    assert not made.decompose(x).numbers.any()
