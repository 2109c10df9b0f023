"""Rules for latent weights: init, centring, clip, learning-rate scale."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.factory import Layers
from bnn_train.binary.latent import enforce, lr_scale
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.spec.method import LatentSpec
from bnn_train.spec.methods import METHODS
from bounds import assert_within, gamma


def conv(latent: LatentSpec, inputs: int = 16, outputs: int = 64, kernel: int = 3) -> BinaryConv2d:
    method = METHODS["bc"].model_copy(update={"latent": latent})
    layer = Layers(method).conv("body", inputs, outputs, kernel)
    assert isinstance(layer, BinaryConv2d)
    return layer


@pytest.mark.parametrize(
    ("init", "std", "bound"),
    [
        ("uniform", 1 / math.sqrt(3), 1.0),
        ("glorot", math.sqrt(1.5 / (9 * 80)) / math.sqrt(3), math.sqrt(1.5 / (9 * 80))),
        ("he_in", math.sqrt(2 / (9 * 16)), math.inf),
        ("he_out", math.sqrt(2 / (9 * 64)), math.inf),
        ("normal_005", 0.05, math.inf),
    ],
)
def test_init(init: str, std: float, bound: float) -> None:
    torch.manual_seed(0)
    w = conv(LatentSpec(init=init)).weight  # type: ignore[arg-type]
    assert float(w.detach().std()) == pytest.approx(std, rel=0.05)
    assert float(w.detach().abs().max()) <= bound


def test_sign_init_is_plus_minus_one() -> None:
    assert set(conv(LatentSpec(init="sign")).weight.unique().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("init", ["uniform", "glorot", "he_in", "he_out", "normal_005", "sign"])
def test_biases_begin_at_zero(init: str) -> None:
    method = METHODS["bc"].model_copy(update={"latent": LatentSpec(init=init)})  # type: ignore[arg-type]
    for layer in (Layers(method).conv("body", 3, 8, 3, bias=True), Layers(method).linear("body", 9, 8)):
        assert isinstance(layer, BinaryConv2d | BinaryLinear)
        assert layer.bias is not None
        assert layer.bias.tolist() == [0.0] * 8


def test_clip_holds_after_enforce() -> None:
    layer = conv(LatentSpec(clip=1.0))
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-3, 3, layer.weight.numel()).view_as(layer.weight))
    expected = np.clip(layer.weight.detach().numpy(), -1, 1)
    enforce(nn.Sequential(layer))
    np.testing.assert_array_equal(layer.weight.detach().numpy(), expected)


def test_centring_subtracts_the_mean_over_input_channels_before_the_clip() -> None:
    layer = conv(LatentSpec(clip=0.5, center=True))
    with torch.no_grad():
        layer.weight.normal_(2.0, 1.0)
    w = layer.weight.detach().numpy().copy()
    w = w.astype(np.float64)
    expected = np.clip(w - w.mean(axis=1, keepdims=True), -0.5, 0.5)
    enforce(nn.Sequential(layer))
    bound = gamma(w.shape[1] + 1) * (abs(w) + abs(w).mean(axis=1, keepdims=True))
    assert_within(layer.weight.detach().numpy(), expected, bound)


def test_real_layers_are_left_alone() -> None:
    plain = nn.Conv2d(2, 2, 1)
    with torch.no_grad():
        plain.weight.fill_(5)
    enforce(nn.Sequential(plain))
    assert plain.weight.unique().tolist() == [5.0]


# core values of BinaryConnect's W_LR_scale, computed from √((fan_in + fan_out)/1.5)
PUBLISHED = [(784, 1024, 34.7), (1024, 1024, 36.9), (1024, 10, 26.3), (8192, 1024, 78.4), (4096, 4096, 73.9)]


@pytest.mark.parametrize(("inputs", "outputs", "scale"), PUBLISHED)
def test_dense_learning_rate_scale(inputs: int, outputs: int, scale: float) -> None:
    with torch.device("meta"):
        layer = Layers(METHODS["bc"]).linear("body", inputs, outputs)
    assert isinstance(layer, BinaryLinear)
    assert lr_scale(layer, squared=False) == pytest.approx(scale, abs=0.06)
    assert lr_scale(layer, squared=True) == pytest.approx((inputs + outputs) / 1.5)


@pytest.mark.parametrize(("inputs", "outputs", "scale"), [(3, 128, 28.0), (128, 128, 39.2), (256, 512, 67.9)])
def test_conv_learning_rate_scale(inputs: int, outputs: int, scale: float) -> None:
    latent = METHODS["bc"].latent
    assert lr_scale(conv(latent, inputs, outputs), squared=False) == pytest.approx(scale, abs=0.06)


# itayhubara/BinaryNet, Torch7: 32 or 64 in its networks for CIFAR-10 and SVHN
POWERS = [(3, 128, 32), (128, 128, 32), (128, 256, 64), (256, 256, 64), (256, 512, 64), (512, 512, 64)]


@pytest.mark.parametrize(("inputs", "outputs", "scale"), POWERS)
def test_learning_rate_scale_as_a_shift(inputs: int, outputs: int, scale: int) -> None:
    latent = LatentSpec(init="uniform", lr_scale="glorot_pow2")
    assert lr_scale(conv(latent, inputs, outputs), squared=False) == scale
    assert lr_scale(conv(latent, inputs, outputs), squared=True) == scale**2


def test_no_scale_unless_asked() -> None:
    assert lr_scale(conv(LatentSpec()), squared=True) == 1.0
