"""AdaBin's binary sets against numpy and the golden values of its form (arXiv 2208.08084)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.binary.quantizers.pairs import LearnedPair, MeasuredPair
from bnn_train.spec.estimators import ApproxSign, Clip, Identity, TanhEDE
from bnn_train.spec.method import WeightSpec
from bnn_train.spec.methods import METHODS
from bnn_train.spec.quantizers import LearnedPair as PairOptions
from bnn_train.spec.quantizers import MeasuredPair as MeasuredOptions

W = torch.tensor([[1, 2, -1, -4, 0.5, 0.5]], dtype=torch.float64)
X = torch.tensor([[-1, -0.2, 0.1, 0.6, 2]], dtype=torch.float64)
APPROX = ESTIMATORS.build(ApproxSign())


def test_golden_weights() -> None:
    made = MeasuredPair(MeasuredOptions())
    codes, factors = made.codes(W, (1,), drawn=False), made.factors(W, W, (1,))
    assert factors is not None
    np.testing.assert_allclose(factors.flatten().numpy(), [1.9293061, -0.1666667], atol=5e-8)
    np.testing.assert_array_equal(codes[0, 0].numpy(), [1, 1, -1, -1, 1, 1])
    value = (codes * factors).sum(dim=0)[0].numpy()
    np.testing.assert_allclose([value[0], value[2]], [1.7626395, -2.0959728], atol=5e-8)


def test_golden_gradient() -> None:
    """∂ŵ₀/∂w with the slope k·t = 1; its sum is 1 for any slope."""
    spec = WeightSpec(quantizer=MeasuredOptions(), estimator=TanhEDE(t=1e-3))
    method = METHODS["fp"].model_copy(update={"weight": spec})
    layer = BinaryLinear(6, 1, bias=False, method=method, role="body").double()
    with torch.no_grad():
        layer.weight.copy_(W)
    layer.read_weight()[0, 0].backward()
    assert layer.weight.grad is not None
    expected = [1.039839, 0.073988, -0.028457, -0.130901, 0.022765, 0.022765]
    np.testing.assert_allclose(layer.weight.grad[0].numpy(), expected, atol=2e-6)
    np.testing.assert_allclose(layer.weight.grad.sum(), 1)


@pytest.mark.parametrize("slope", ["identity", "clip"])
def test_weight_gradients_are_autograd_through_plain_operations(slope: str) -> None:
    estimator = Identity() if slope == "identity" else Clip()
    spec = WeightSpec(quantizer=MeasuredOptions(), estimator=estimator)
    method = METHODS["bnn"].model_copy(update={"weight": spec})
    layer = BinaryConv2d(3, 4, 3, padding=1, bias=False, method=method, role="body").double()
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    y = layer(x)
    g = torch.randn_like(y)
    y.backward(g)
    w = layer.weight.detach().clone().requires_grad_()
    center = w.mean(dim=(1, 2, 3), keepdim=True)
    deviation = ((w - center) ** 2).mean(dim=(1, 2, 3), keepdim=True).sqrt()
    z = (w - center) / deviation
    window = 1.0 if slope == "identity" else (z.detach().abs() <= 1).double()
    soft = z * window  # its derivative is the estimator's
    signs = torch.where(z < 0, -1.0, 1.0).double() + soft - soft.detach()
    seen = torch.where(x < 0, -1.0, 1.0).double()
    truth = torch.nn.functional.conv2d(seen, deviation * signs + center, padding=1)
    torch.testing.assert_close(y, truth)
    truth.backward(g)
    torch.testing.assert_close(layer.weight.grad, w.grad)


def test_equal_weights_have_no_deviation() -> None:
    layer = BinaryLinear(4, 2, method="adabin", role="body")
    with torch.no_grad():
        layer.weight.fill_(0.25)
    read = layer.read_weight()
    torch.testing.assert_close(read, layer.weight)
    read.sum().backward()
    assert layer.weight.grad is not None
    assert bool(layer.weight.grad.isfinite().all())


def pair(center: str) -> LearnedPair:
    made = LearnedPair(PairOptions.model_validate({"center": center})).double()
    with torch.no_grad():
        made.distance.fill_(0.5)
        made.center.fill_(0.2)
    return made


def test_golden_activations_of_the_code() -> None:
    made, x = pair("code"), X.clone().requires_grad_()
    value = made.value(x, APPROX, drawn=False, span=1.0)
    np.testing.assert_allclose(value[0].detach().numpy(), [-0.4, -0.4, -0.4, 0.6, 0.6])
    value.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad[0].numpy(), [0, 0.4, 1.6, 0.4, 0], atol=1e-12)
    np.testing.assert_allclose(grad(made.distance), 0.32, atol=1e-12)
    np.testing.assert_allclose(grad(made.center), 0.1, atol=1e-12)


def grad(p: Tensor) -> float:
    assert p.grad is not None
    return float(p.grad)


def test_levels_of_the_paper() -> None:
    value = pair("paper").value(X, APPROX, drawn=False, span=1.0)
    np.testing.assert_allclose(np.unique(value.detach().numpy()), [-0.3, 0.7])


@pytest.mark.parametrize("center", ["paper", "code"])
def test_both_forms_agree_where_the_center_is_zero(center: str) -> None:
    made = pair(center)
    with torch.no_grad():
        made.center.zero_()
    x = torch.tensor([-0.0, 0.0, np.nan, -1e-40, 3.0])
    codes = made.float().codes(x, (), drawn=False)
    np.testing.assert_array_equal(codes[0].numpy(), [1, 1, 1, -1, 1])
    np.testing.assert_array_equal(codes[1].numpy(), np.ones(5))


@pytest.mark.parametrize("center", ["paper", "code"])
@pytest.mark.parametrize("distance", [0.5, -0.5])
def test_a_layer_is_the_product_of_both_sets(center: str, distance: float) -> None:
    """y = a·α·Σst + a·b·α·Σt + a·β·Σs + a·b·β·N over the taps inside the image."""
    row = METHODS["adabin"]
    activation = row.activation.model_copy(
        update={"quantizer": PairOptions.model_validate({"center": center})}
    )
    method = row.model_copy(update={"activation": activation})
    layer = BinaryConv2d(3, 4, 3, padding=1, bias=False, method=method, role="body").double()
    assert layer.input_quantizer is not None
    made = layer.input_quantizer.quantizer
    assert isinstance(made, LearnedPair)
    with torch.no_grad():
        made.distance.fill_(distance)
        made.center.fill_(0.2)
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    y = layer(x)
    truth = torch.nn.functional.conv2d(layer.read_input(x), layer.read_weight(), padding=1)
    torch.testing.assert_close(y, truth)
    a = torch.autograd.grad(y.square().sum(), list(layer.parameters()))
    b = torch.autograd.grad(truth.square().sum(), list(layer.parameters()))
    for one, other in zip(a, b, strict=True):
        torch.testing.assert_close(one, other)
