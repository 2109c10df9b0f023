"""A learned α: its start, its products and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnn_train.binary.factory import ChainLayer, Layers
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear, binary_layers
from bnn_train.config.merge import merge
from bnn_train.config.schema import Experiment
from bnn_train.inspect.layers import layer_table
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from bnn_train.training.optimizers import Optimizers
from bounds import gamma


def method(row: str, granularity: str = "channel") -> Method:
    axes = {"weight": {"scale": "learned", "granularity": granularity, "gradient": "detached"}}
    return Method.model_validate(merge(METHODS[row].model_dump(), axes))


def conv(row: str, granularity: str = "channel") -> BinaryConv2d:
    layer = Layers(method(row, granularity)).conv("body", 4, 6, 3)
    assert isinstance(layer, BinaryConv2d)
    return layer.double()


def alpha_of(layer: BinaryConv2d | BinaryLinear) -> nn.Parameter:
    assert layer.weight_quantizer is not None
    assert layer.weight_quantizer.scale.alpha is not None
    return layer.weight_quantizer.scale.alpha


@pytest.mark.parametrize(("granularity", "count"), [("channel", 6), ("layer", 1)])
def test_it_starts_at_the_mean_magnitude(granularity: str, count: int) -> None:
    layer = conv("bwn", granularity)
    w = np.abs(layer.weight.detach().numpy())
    expected = w.mean(axis=(1, 2, 3)) if granularity == "channel" else [w.mean()]
    assert alpha_of(layer).shape == (count,)
    np.testing.assert_allclose(
        alpha_of(layer).detach().numpy(), expected, rtol=gamma(w.size + 1)
    )  # a float32 sum


@pytest.mark.parametrize("granularity", ["channel", "layer"])
@pytest.mark.parametrize("row", ["bwn", "xnor"])
def test_forward_and_gradients_are_those_of_a_separate_layer(row: str, granularity: str) -> None:
    """y = α·(x ∗ sign(w)): the truth is autograd through plain operations, with g·1[|w| < 1] for sign."""
    layer = conv(row, granularity)
    with torch.no_grad():
        layer.weight.mul_(8)  # some beyond ±1
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    y = layer(x)
    g = torch.randn_like(y)
    y.backward(g)
    codes = torch.where(layer.weight < 0, -1.0, 1.0).double().requires_grad_()
    alpha = alpha_of(layer).detach().clone().requires_grad_()
    seen = x if row == "bwn" else torch.where(x < 0, -1.0, 1.0).double()
    truth = F.conv2d(seen, codes, layer.bias) * alpha.view(1, -1, 1, 1)
    torch.testing.assert_close(y, truth)
    truth.backward(g)
    assert alpha.grad is not None
    assert codes.grad is not None
    torch.testing.assert_close(alpha_of(layer).grad, alpha.grad)
    torch.testing.assert_close(layer.weight.grad, codes.grad * (layer.weight.abs() < 1))


def test_dense_layers_learn_it_too() -> None:
    layer = Layers(method("xnor")).linear("body", 8, 3)
    assert isinstance(layer, BinaryLinear)
    layer(torch.randn(4, 8)).sum().backward()
    assert alpha_of(layer).grad is not None


def test_only_layers_that_binarize_have_one() -> None:
    layer = Layers(method("xnor")).conv("last", 4, 6, 1)
    assert not list(binary_layers(nn.Sequential(layer)))
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    plain = Layers(METHODS["xnor"]).conv("body", 4, 6, 3)
    assert [name for name, _ in plain.named_parameters()] == ["weight"]


def chain() -> nn.Sequential:
    units = [
        ChainLayer(role=role, kind="linear", inputs=8, outputs=8, bias=False)
        for role in ("first", "body", "last")
    ]
    return Layers(method("xnor")).chain(units)


def test_it_is_trained_with_the_real_parameters() -> None:
    model = chain()
    config = {"method": "xnor", "model": "mlp", "data": "mnist", "optimizer": {"name": "sgd", "lr": 0.1}}
    optimizers = Optimizers(model, Experiment.model_validate(config).optimizer)
    [layer] = [layer for _, layer in binary_layers(model)]
    assert any(p is alpha_of(layer) for p in optimizers.main.param_groups[0]["params"])


def test_the_layer_table_counts_it_once() -> None:
    row: Any = next(row for row in layer_table(chain(), (8,)) if row.kind == "BinaryLinear")
    assert (row.params_binary, row.params_real) == (64, 8)
    assert row.bytes == 8 * 1 + 8 * 4
