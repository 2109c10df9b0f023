"""The constants that go into the file: batch norms bit for bit, weights digit for digit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.layers import BinaryLinear
from bnn_train.errors import ExportError
from bnn_train.export.graph import Op
from bnn_train.export.numbers import fused, norm_of
from bnn_train.export.weights import LIMITS, bfloat16, channel_last, digits_of, real_weight, whole
from bnn_train.spec.methods import METHODS


def norm_op(channels: int, module: nn.Module) -> Op:
    return Op("norm", "norm1", "norm1", (channels, 1, 1), module)


def random_norm(channels: int, two: bool) -> Any:
    module: Any = (nn.BatchNorm2d if two else nn.BatchNorm1d)(channels, eps=1e-4).eval()
    with torch.no_grad():
        module.weight.copy_(torch.randn(channels))
        module.bias.copy_(torch.randn(channels))
        module.running_mean.copy_(torch.randn(channels) * 3)
        module.running_var.copy_(torch.rand(channels) * 5)
    return module


def fma(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x·a + b rounded once: the product is exact in float64; its sum is rounded to odd, then to float32."""
    product = x.astype(np.float64) * a
    total = product + b
    error = (product - (total - b)) + (b - (total - (total - b)))  # Knuth's two-sum
    bits = total.view(np.int64).copy()
    away = (error > 0) == (total > 0)
    bits[(error != 0) & away] |= 1
    bits[(error != 0) & ~away & (bits & 1 == 0)] -= 1
    return np.asarray(bits.view(np.float64).astype(np.float32))


@pytest.mark.parametrize("channels", [1, 3, 16, 17, 64])
def test_a_norm_is_one_fma_in_every_layout(channels: int) -> None:
    for two, sizes in ((False, ()), (True, (1, 1)), (True, (5, 7)), (True, (8, 8))):
        module = random_norm(channels, two)
        factor, summand = norm_of(norm_op(channels, module))
        if not fused(factor, summand, module):
            pytest.skip("torch has no FMA here")
        for batch in (1, 2, 33):
            x = torch.randn(batch, channels, *sizes) * 10
            shape = (1, channels, *(1 for _ in sizes))
            expected = fma(x.numpy(), factor.reshape(shape), summand.reshape(shape))
            layouts = [x, x.contiguous(memory_format=torch.channels_last)] if two else [x]
            for layout in layouts:
                with torch.no_grad():
                    assert np.array_equal(module(layout).numpy(), expected)


def test_a_norm_of_the_batch_is_refused() -> None:
    with pytest.raises(ExportError, match=r"norm1: normalizes with the statistics of the batch"):
        norm_of(norm_op(3, nn.BatchNorm1d(3, track_running_stats=False).eval()))


def test_a_diverged_norm_is_refused() -> None:
    module = random_norm(3, two=True)
    module.running_mean[1] = float("nan")
    with pytest.raises(ExportError, match=r"norm1: .* not finite"):
        norm_of(norm_op(3, module))


def test_a_diverged_weight_is_refused() -> None:
    layer = BinaryLinear(4, 2, method=METHODS["bnn"], role="body")
    image = Op("image", "x", "x", (4, 1, 1))
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0] = float("nan")
    with pytest.raises(ExportError, match=r"linear2: a weight is not finite"):
        real_weight(Op("product", "linear2", "linear2", (2, 1, 1), layer, [image]))


@pytest.mark.parametrize("digits", LIMITS)
def test_digits_add_up(digits: int) -> None:
    limit = LIMITS[digits]
    numbers = np.unique(
        np.concatenate([np.linspace(-limit, limit, 997), [-limit, -129, -128, 0, 127, 128, limit]])
    )
    numbers = np.rint(numbers).clip(-limit, limit).astype(np.int64)
    planes = digits_of(numbers, digits)
    assert planes.dtype == np.int8
    assert np.array_equal(sum(planes[d].astype(np.int64) * 256**d for d in range(digits)), numbers)


@pytest.mark.parametrize("digits", LIMITS)
def test_whole_numbers_are_the_nearest(digits: int) -> None:
    weight = np.random.default_rng(0).normal(size=(5, 3, 3, 2))
    weight[2] = 0
    numbers, scale = whole(weight, digits)
    assert np.abs(numbers).max() == LIMITS[digits]
    error = np.abs(numbers * scale.astype(np.float64)[:, None, None, None] - weight)
    assert (error <= scale[:, None, None, None] * (0.5 + 1e-6)).all()


def test_bfloat16_is_torchs() -> None:
    bits = np.random.default_rng(0).integers(0, 2**31, 4000, dtype=np.int64).astype(np.uint32)
    bits = np.concatenate([bits, [0, 2**31, 0x3F808000, 0x3F818000, 0x3F808001, 0x00000001]]).astype(
        np.uint32
    )
    numbers = bits.view(np.float32)
    numbers = numbers[np.isfinite(numbers) & (np.abs(numbers) < 1e38)]
    expected = torch.from_numpy(numbers.copy()).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(bfloat16(numbers), expected)


def test_a_dense_layer_behind_a_flatten_covers_the_map() -> None:
    image = Op("image", "x", "x", (3, 4, 5))
    layer = nn.Linear(60, 2)
    op = Op("product", "linear", "linear", (2, 1, 1), layer, [image])
    x = torch.randn(1, 3, 4, 5)
    weight = channel_last(op, layer.weight.detach().numpy())
    assert weight.shape == (2, 4, 5, 3)
    y = np.einsum("hwc,ohwc->o", x[0].permute(1, 2, 0).double().numpy(), weight.astype(np.float64))
    expected = nn.functional.linear(x.flatten(1).double(), layer.weight.double())[0].detach().numpy()
    assert np.allclose(y, expected, atol=1e-12)
