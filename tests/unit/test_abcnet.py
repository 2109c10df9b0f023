"""ABC-Net's bases, factors, products and gradients against numpy (arXiv 1711.11294)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.config.merge import merge
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS

RNG = np.random.default_rng(3)


def row(bases: int, granularity: str = "layer") -> Method:
    axes = {
        "weight": {"quantizer": {"bases": bases}, "granularity": granularity},
        "activation": {"quantizer": {"bases": bases}},
    }
    return Method.model_validate(merge(METHODS["abcnet"].model_dump(), axes))


def signs(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0, -1.0, 1.0)


def bases_of(w: np.ndarray, count: int) -> np.ndarray:
    """Bᵢ = sign(w − mean(w) + uᵢ·std(w)), eq. 2, M×n."""
    shifts = [0.0] if count == 1 else [-1 + 2 * i / (count - 1) for i in range(count)]
    return np.stack([signs(w - w.mean() + u * w.std()) for u in shifts])


@pytest.mark.parametrize("granularity", ["layer", "channel"])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_weights_are_the_least_squares_sum_of_shifted_signs(count: int, granularity: str) -> None:
    layer = BinaryLinear(40, 6, method=row(count, granularity), role="body").double()
    w = layer.weight.detach().numpy()
    groups = [w] if granularity == "layer" else list(w)
    expected = []
    for group in groups:
        bases = bases_of(group.reshape(-1), count)
        alpha = np.linalg.lstsq(bases.T, group.reshape(-1), rcond=None)[0]
        expected.append((alpha @ bases).reshape(group.shape))
    np.testing.assert_allclose(
        layer.read_weight().detach().numpy(), np.concatenate(expected).reshape(w.shape)
    )
    assert layer.codes().bases == count


def test_equal_bases_share_their_factor() -> None:
    """A layer of equal weights has no deviation: all bases are alike, and any sum of factors will do."""
    layer = BinaryLinear(4, 2, method="abcnet", role="body")
    with torch.no_grad():
        layer.weight.fill_(0.25)
    torch.testing.assert_close(layer.read_weight(), layer.weight)


@pytest.mark.parametrize("count", [1, 3])
def test_gradients_are_those_of_the_paper(count: int) -> None:
    """∂L/∂w = Σαᵢ·g; ∂L/∂x = Σ βᵢ·g·1[0 ≤ x + νᵢ ≤ 1], the same summed for νᵢ; ∂L/∂βᵢ = Σ g·Aᵢ."""
    layer = BinaryLinear(9, 5, bias=False, method=row(count), role="body").double()
    assert layer.input_quantizer is not None
    shifts, weights = layer.input_quantizer.quantizer.parameters()
    with torch.no_grad():
        shifts.copy_(torch.from_numpy(RNG.normal(size=count) * 0.3))
        weights.copy_(torch.from_numpy(RNG.normal(size=count)))
    x = torch.from_numpy(RNG.normal(size=(7, 9))).requires_grad_()
    g = RNG.normal(size=(7, 5))
    layer(x).backward(torch.from_numpy(g))
    nu, beta, w = shifts.detach().numpy(), weights.detach().numpy(), layer.weight.detach().numpy()
    bases = bases_of(w.reshape(-1), count)
    alpha = np.linalg.lstsq(bases.T, w.reshape(-1), rcond=None)[0]
    codes = np.stack([signs(x.detach().numpy() + v - 0.5) for v in nu])
    gx = g @ (alpha @ bases).reshape(w.shape)  # with respect to x̂
    moved = x.detach().numpy() + nu[:, None, None]
    inside = (moved >= 0) & (moved <= 1)
    assert x.grad is not None
    assert layer.weight.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), gx * (beta[:, None, None] * inside).sum(0), atol=1e-12)
    assert shifts.grad is not None
    assert weights.grad is not None
    np.testing.assert_allclose(shifts.grad.numpy(), beta * (gx * inside).sum((1, 2)), atol=1e-12)
    np.testing.assert_allclose(weights.grad.numpy(), (gx * codes).sum((1, 2)), atol=1e-12)
    seen = np.tensordot(beta, codes, 1)
    np.testing.assert_allclose(layer.weight.grad.numpy(), alpha.sum() * (g.T @ seen), atol=1e-12)


def test_products_are_added_in_the_order_of_the_packed_format() -> None:
    """y = Σ_p Σ_q (f_p·g_q)·dot_pq in float32, each step rounded once."""
    layer = BinaryConv2d(3, 4, 3, padding=1, bias=False, method="abcnet", role="body")
    x = torch.randn(2, 3, 6, 5)
    assert layer.input_quantizer is not None
    weight, seen = layer.codes(), layer.input_quantizer.decompose(x)
    f = torch.as_tensor(weight.factors).reshape(3).detach().numpy().astype(np.float32)
    g = torch.as_tensor(seen.factors).reshape(3).detach().numpy().astype(np.float32)
    total: np.ndarray | None = None
    for p in range(3):
        for q in range(3):
            dot = torch.nn.functional.conv2d(seen.numbers[q].double(), weight.numbers[p].double(), padding=1)
            term = dot.detach().numpy().astype(np.float32) * (f[p] * g[q])
            total = term if total is None else total + term
    assert total is not None
    assert np.array_equal(layer(x).detach().numpy(), total)


def test_what_is_learned_has_a_group_without_decay() -> None:
    layer = BinaryLinear(9, 5, method="abcnet", role="body")
    names = [name for name, _ in layer.named_parameters()]
    assert names[2:] == ["input_quantizer.quantizer.shifts", "input_quantizer.quantizer.weights"]


@pytest.mark.parametrize("value", [-1, 0, 1])
def test_a_border_is_the_same_before_real_and_before_binary_weights(value: int) -> None:
    """Around the map stands the sign ``value`` in each basis, worth value·Σβ."""
    both = METHODS["abcnet"].model_copy(update={"padding": value})
    first = both.model_copy(update={"weight": METHODS["fp"].weight})  # a first stage: activations alone
    layer = BinaryConv2d(3, 4, 3, padding=1, bias=False, method=both, role="body").double()
    stage = BinaryConv2d(3, 4, 3, padding=1, bias=False, method=first, role="body").double()
    assert stage.input_quantizer is not None
    assert layer.input_quantizer is not None
    _, weights = layer.input_quantizer.quantizer.parameters()
    with torch.no_grad():
        weights.copy_(torch.tensor([0.7, -0.2, 0.4]))
        stage.weight.copy_(layer.read_weight())
    stage.input_quantizer.load_state_dict(layer.input_quantizer.state_dict())
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(stage(x), layer(x))
