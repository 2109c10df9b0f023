"""The first layer on raw bytes against the formula in float64: normalize, pad with zeros, convolve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryConv2d
from bnn_train.export.first import GAIN_LIMIT, Pixels, affine, gains
from bnn_train.export.options import Options
from bnn_train.spec.methods import METHODS
from lowering import MeanStd, pair, pixels

SHAPE = (3, 7, 6)
ONE = [Pixels("scale01")]
SIGNED = [Pixels("signed")]


class Head(nn.Sequential):
    """A first convolution alone, averaged to a vector."""

    def __init__(self, first: nn.Module) -> None:
        super().__init__(first, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def exact(
    images: np.ndarray, weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor, **conv: int
) -> np.ndarray:
    """N×H′×W′×O in float64: the image as scale·x + shift, zeros around it."""
    x = torch.from_numpy(images.transpose(0, 3, 1, 2)).double()
    x = x * scale.double().view(-1, 1, 1) + shift.double().view(-1, 1, 1)
    y = F.conv2d(x, weight.double(), None if bias is None else bias.double(), **conv)
    return y.permute(0, 2, 3, 1).detach().numpy()


def layers() -> dict[str, tuple[nn.Module, dict[str, int]]]:
    torch.manual_seed(0)
    signs, ternary = METHODS["bc"], METHODS["twn"]
    return {
        "real": (nn.Conv2d(3, 5, 3, padding=1), {"padding": 1}),
        "strided": (nn.Conv2d(3, 5, 3, stride=2, padding=2, bias=False), {"stride": 2, "padding": 2}),
        "dilated": (nn.Conv2d(3, 4, 3, dilation=2, padding=2), {"dilation": 2, "padding": 2}),
        "grouped": (nn.Conv2d(3, 6, 3, groups=3, padding=1), {"groups": 3, "padding": 1}),
        "signs": (BinaryConv2d(3, 5, 3, method=signs, role="first", padding=1), {"padding": 1}),
        "ternary": (BinaryConv2d(3, 5, 3, method=ternary, role="first", padding=1), {"padding": 1}),
    }


@pytest.mark.parametrize("name", layers())
@pytest.mark.parametrize("kind", ["mean_std", "scale01", "signed"])
def test_bytes_in(name: str, kind: str) -> None:
    layer, conv = layers()[name]
    images = pixels(2, SHAPE)
    if kind == "mean_std":
        rule = MeanStd(3)
        steps, scale, shift = rule.steps, 1 / (255 * rule.std), -rule.mean / rule.std
    else:
        steps = ONE if kind == "scale01" else SIGNED
        scale = torch.full((3,), 1 / 255 if kind == "scale01" else 2 / 255, dtype=torch.float64)
        shift = torch.full((3,), 0.0 if kind == "scale01" else -1.0)
    made = pair(Head(layer), SHAPE, normalize=MeanStd(3), steps=steps)
    assert made.lowered.preprocess == ()
    assert made.lowered.program.values[0].type == "u8"
    plain: Any = layer
    weight = layer.codes().value if isinstance(layer, BinaryConv2d) else plain.weight.detach()
    expected = exact(images, weight, plain.bias, scale, shift, **conv)
    found = made.packed.step(0, {0: images})[1]
    assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()


def test_signs_with_unequal_channels_have_gains() -> None:
    made = pair(Head(layers()["signs"][0]), SHAPE)
    gain = made.packed.tensors["0.gain"]
    assert gain.max() == GAIN_LIMIT
    assert np.allclose(gain / gain.max(), (MeanStd(3).std.min() / MeanStd(3).std).numpy(), rtol=1e-6)


def test_equal_channels_need_no_gain() -> None:
    made = pair(Head(layers()["signs"][0]), SHAPE, steps=SIGNED)
    assert "0.gain" not in made.packed.tensors
    assert gains(affine(SIGNED, 3))[0] is None  # type: ignore[arg-type]


def test_steps_compose() -> None:
    both = affine([Pixels("scale01"), *MeanStd(2).steps], 2)
    assert both is not None
    x = np.array([3.0, 200.0])
    expected = (x / 255 / 255 - MeanStd(2).mean.numpy()) / MeanStd(2).std.numpy()
    assert np.allclose(both.factor * x + both.summand, expected)


def test_what_is_no_affine_map_stays_outside() -> None:
    assert affine([Pixels("gcn", {"scale": 1.0, "norm": "l2", "bias": 0.0})], 3) is None
    assert affine([Pixels("pixel_mean", {}, {"mean": np.zeros((3, 2, 2), np.float32)})], 3) is None


@pytest.mark.parametrize(("first", "digits"), [("int24", 3), ("int16", 2), ("int8", 1)])
def test_the_digits_asked_for(first: str, digits: int) -> None:
    made = pair(Head(layers()["real"][0]), SHAPE, Options(first=first))  # type: ignore[arg-type]
    assert made.packed.tensors["0.weight"].shape == (digits, 5, 3, 3, 3)
    made.gate()


def test_grouped_signs_with_unequal_channels_stay_real() -> None:
    layer = BinaryConv2d(3, 6, 3, method=METHODS["bc"], role="first", padding=1, groups=3)
    made = pair(Head(layer), SHAPE)
    assert made.lowered.program.values[0].type == "f32"
    assert [step.kind for step in made.lowered.preprocess] == ["mean_std"]
    made.gate()
