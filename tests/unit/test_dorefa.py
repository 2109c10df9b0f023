"""DoReFa-Net's weights of several bits and its gradients of a few, against numpy (arXiv 1606.06160)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLayer, BinaryLinear
from bnn_train.binary.output_gradients import OUTPUT_GRADIENTS
from bnn_train.check.gradients import gradients
from bnn_train.config.merge import merge
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from bnn_train.spec.output_gradients import NoisyUniform, OutputGradient, RealGradient
from check_subject import lines, subject
from options import members

RNG = np.random.default_rng(7)


def axes(bits: int, *, detach: bool = False, scale: str = "none") -> dict[str, Any]:
    quantizer = {"name": "signed_uniform", "bits": bits}
    return {"weight": {"pre": {"name": "tanh_max", "detach": detach}, "quantizer": quantizer, "scale": scale}}


def row(bits: int = 2, **more: Any) -> Method:
    return Method.model_validate(merge(METHODS["dorefa"].model_dump(), axes(bits, **more)))


def quantize(r: np.ndarray, bits: int) -> np.ndarray:
    n = 2**bits - 1
    return np.asarray(np.round(n * r) / n)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_weights_are_their_formula(bits: int) -> None:
    """2·q(tanh w/(2·max|tanh w|) + ½) − 1."""
    layer = BinaryLinear(9, 5, bias=False, method=row(bits), role="body").double()
    t = np.tanh(layer.weight.detach().numpy())
    truth = 2 * quantize(t / (2 * np.abs(t).max()) + 0.5, bits) - 1
    np.testing.assert_allclose(layer.read_weight().detach().numpy(), truth, atol=1e-12)
    codes = layer.codes().numbers.numpy()
    assert set(np.unique(codes % 2)) == {1}
    assert np.abs(codes).max() == 2**bits - 1
    planes, shares, offset = layer.codes().planes()
    assert float(offset) == 0
    summed = sum(float(share) * plane for share, plane in zip(shares, planes, strict=True))
    np.testing.assert_allclose(np.asarray(summed), truth, atol=1e-6)


@pytest.mark.parametrize("detach", [False, True])
def test_the_gradient_passes_tanh_and_its_maximum(detach: bool) -> None:
    layer = BinaryLinear(9, 5, bias=False, method=row(2, detach=detach), role="body").double()
    x = torch.from_numpy(RNG.normal(size=(7, 9)))
    g = RNG.normal(size=(7, 5))
    layer(x).backward(torch.from_numpy(g))
    w = layer.weight.detach().numpy()
    t, seen = np.tanh(w), layer.read_input(x).detach().numpy()
    top = np.unravel_index(np.abs(t).argmax(), t.shape)
    gu, m = g.T @ seen, np.abs(t[top])
    truth = gu * (1 - t**2) / m
    if not detach:
        truth[top] -= (gu * t).sum() / m**2 * np.sign(t[top]) * (1 - t[top] ** 2)
    assert layer.weight.grad is not None
    np.testing.assert_allclose(layer.weight.grad.numpy(), truth, atol=1e-12)


def test_a_learned_scale_counts_units() -> None:
    """ŵ = α·code/n: ∂L/∂α = Σ g·code/n."""
    layer = BinaryLinear(9, 5, bias=False, method=row(2, scale="learned"), role="body").double()
    assert layer.weight_quantizer is not None
    alpha = layer.weight_quantizer.scale.alpha
    assert alpha is not None
    y = layer(torch.randn(4, 9, dtype=torch.float64)).sum()
    y.backward()
    assert alpha.grad is not None
    torch.testing.assert_close((alpha.grad * alpha).sum().detach(), y.detach())


def test_weights_of_zero_stay_finite() -> None:
    layer = BinaryLinear(4, 2, bias=False, method=row(3), role="body")
    with torch.no_grad():
        layer.weight.zero_()
    layer(torch.randn(3, 4)).sum().backward()
    assert layer.weight.grad is not None
    assert bool(layer.weight.grad.isfinite().all())


# ------------------------------------------------------------------------------- gradients


def rounded(g: np.ndarray, bits: int, u: np.ndarray) -> np.ndarray:
    """2M·(q(clip(g/2M + ½ + u, 0, 1)) − ½), M of each image."""
    m = np.abs(g).reshape(len(g), -1).max(axis=1).reshape(-1, *[1] * (g.ndim - 1))
    share = g / (2 * np.where(m == 0, 1, m)) + 0.5 + u
    return np.asarray(2 * m * (quantize(np.clip(share, 0, 1), bits) - 0.5))


@pytest.mark.parametrize("bits", [1, 2, 6])
def test_the_gradient_of_an_output_is_rounded(bits: int) -> None:
    made = OUTPUT_GRADIENTS.build(NoisyUniform(bits=bits))
    y = torch.zeros(3, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    g = RNG.normal(size=y.shape)
    g[1] = 0
    torch.manual_seed(5)
    made(y).backward(torch.from_numpy(g))
    torch.manual_seed(5)
    u = (torch.rand(y.shape, dtype=torch.float64).numpy() - 0.5) / (2**bits - 1)
    assert y.grad is not None
    np.testing.assert_allclose(y.grad.numpy(), rounded(g, bits, u), atol=1e-12)
    assert not y.grad[1].any()
    assert len(np.unique(np.round(y.grad[0].numpy() / np.abs(g[0]).max(), 9))) <= 2**bits


def test_it_is_true_on_average() -> None:
    g = torch.tensor([[1.0, 0.3, -0.55, 0.02]]).expand(20000, 4)
    y = torch.zeros_like(g, requires_grad=True)
    OUTPUT_GRADIENTS.build(NoisyUniform(bits=2))(y).backward(g)
    assert y.grad is not None
    np.testing.assert_allclose(y.grad[:, 1:].mean(dim=0).numpy(), g[0, 1:].numpy(), atol=0.02)


LAYERS: list[Callable[[Method], tuple[BinaryLayer, tuple[int, ...]]]] = [
    lambda m: (BinaryLinear(6, 3, method=m, role="body"), (4, 6)),
    lambda m: (BinaryConv2d(2, 3, 3, method=m, role="body"), (4, 2, 5, 5)),
]


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("name", ["dorefa", "bwn"])
def test_layers_round_it(name: str, make: Any) -> None:
    """Whether their input is quantized or not; the value is the same."""
    method = METHODS[name].model_copy(update={"output_gradient": NoisyUniform(bits=1)})
    layer, shape = make(method)
    x = torch.randn(shape)
    y = layer(x)
    g = torch.randn_like(y)
    torch.manual_seed(1)
    y.backward(g)
    layer.output_gradient = OUTPUT_GRADIENTS.build(RealGradient())
    torch.manual_seed(1)
    seen = torch.zeros_like(y, requires_grad=True)
    OUTPUT_GRADIENTS.build(NoisyUniform(bits=1))(seen).backward(g)
    plain = layer(x)
    torch.testing.assert_close(plain, y)
    assert seen.grad is not None
    truth = torch.autograd.grad(plain, layer.weight, seen.grad)[0]
    torch.testing.assert_close(layer.weight.grad, truth)


def test_evaluations_draw_nothing() -> None:
    layer = BinaryLinear(6, 3, method=METHODS["dorefa"], role="body")
    layer.output_gradient = OUTPUT_GRADIENTS.build(NoisyUniform())
    before = torch.get_rng_state()
    with torch.no_grad():
        layer(torch.randn(2, 6, generator=torch.Generator()))
    assert torch.equal(before, torch.get_rng_state())


def test_the_instrument_says_that_they_are_no_derivatives() -> None:
    method = {"name": "dorefa", **axes(2), "output_gradient": {"name": "dorefa", "bits": 2}}
    found = lines(gradients, subject(method=method))
    assert {line.verdict for line in found.values()} == {"ok"}
    assert "rounded at random" in found["gradient"].measured


def test_every_option_has_its_object() -> None:
    assert set(members(OutputGradient)) == set(OUTPUT_GRADIENTS.rows)
    assert all(isinstance(OUTPUT_GRADIENTS.build(cls()), nn.Module) for cls in members(OutputGradient))
