"""HWGQ's codes of half a wave, and WRPN's of few bits, against numpy (arXiv 1702.00953, 1709.01134)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.factory import Layers
from bnn_train.binary.layers import BinaryLinear
from bnn_train.binary.quantizers import quantizer
from bnn_train.packed.bits import code_numbers
from bnn_train.spec.estimators import ReluClip
from bnn_train.spec.method import NormSpec
from bnn_train.spec.methods import METHODS
from bnn_train.spec.quantizers import HalfWave, SymmetricUniform

CENTRES = np.array([0.538, 1.076, 1.614], np.float32)
THRESHOLDS = np.array([0.807, 1.345], np.float32)


def codes(x: np.ndarray, bits: int = 2) -> np.ndarray:
    made = quantizer(HalfWave(bits=bits))
    return made.codes(torch.from_numpy(x), (), drawn=False).numpy()


def test_every_positive_number_becomes_at_least_the_step() -> None:
    x = np.array([-2, -1e-40, -0.0, 0.0, 1e-40, 0.1, *THRESHOLDS, 1.0, 1.4, 99, np.inf], np.float32)
    expected = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3]  # the lower one at a midpoint
    np.testing.assert_array_equal(codes(x), expected)
    np.testing.assert_array_equal(codes(np.nextafter(THRESHOLDS, np.float32(9))), [2, 3])
    np.testing.assert_array_equal(codes(np.array([np.nan], np.float32)), [3])


def test_the_value_is_the_nearest_centre() -> None:
    x = np.random.default_rng(1).normal(size=1000).astype(np.float32)
    layer = BinaryLinear(1000, 2, method="hwgq", role="body")
    nearest = CENTRES[np.abs(np.abs(x)[:, None] - CENTRES).argmin(axis=1)]
    found = layer.read_input(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, np.where(x > 0, nearest, 0), rtol=1e-6)


def test_the_step_is_the_best_for_half_a_wave() -> None:
    """Of N(0, 1): 0.5388 in 2 bits, mean square error 0.0432 with 0.538."""
    x = np.linspace(1e-4, 8, 40001)
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    def error(step: float) -> float:
        value = step * np.clip(np.floor(x / step + 0.5), 1, 3)
        return float(np.trapezoid((x - value) ** 2 * density, x))

    steps = np.linspace(0.45, 0.65, 201)
    assert abs(steps[np.argmin([error(step) for step in steps])] - 0.5388) < 2e-3
    assert abs(error(0.538) - 0.0432) < 2e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_a_clipped_relus(dtype: torch.dtype) -> None:
    """1 on (0, top], as the authors' layer has it."""
    made = ESTIMATORS.build(ReluClip())
    top = torch.tensor(1.614, dtype=dtype)
    above = torch.nextafter(top, torch.tensor(9.0, dtype=dtype))
    x = torch.stack([torch.tensor(v, dtype=dtype) for v in (-1, -0.0, 0.0, 1e-30, 1)] + [top, above])
    slope = made.slope(torch.ones_like(x), x)
    np.testing.assert_array_equal(slope.numpy(), [0, 0, 0, 1, 1, 1, 0])


def test_weights_take_the_gradient_unchanged() -> None:
    """α_c·sign(w) forward, ∂L/∂w = ∂L/∂ŵ, as the authors' layers have it."""
    layer = BinaryLinear(6, 3, bias=False, method="hwgq", role="body").double()
    x = torch.randn(4, 6, dtype=torch.float64)
    layer(x).sum().backward()
    w = layer.weight.detach()
    truth = w.abs().mean(dim=1, keepdim=True) * torch.where(w < 0, -1.0, 1.0)
    torch.testing.assert_close(layer.read_weight().detach(), truth)
    torch.testing.assert_close(layer.weight.grad, layer.read_input(x).sum(dim=0).expand(3, 6))


def test_norms_learn_nothing_but_the_outputs() -> None:
    layers = Layers(METHODS["hwgq"])
    for made in (layers.norm1d(3), layers.norm2d(3)):
        assert made.weight is None
        assert list(made.parameters()) == []
    for made in (layers.norm1d(3, output=True), layers.norm2d(3, output=True)):
        assert len(list(made.parameters())) == 2
    drawn = METHODS["bnn"].model_copy(update={"norm": NormSpec(gamma="uniform")})
    assert isinstance(Layers(drawn).norm2d(3).weight, nn.Parameter)


# ------------------------------------------------------------------------------- WRPN


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_symmetric_codes_and_how_a_file_has_them(bits: int) -> None:
    made = quantizer(SymmetricUniform(bits=bits))
    m = 2 ** (bits - 1) - 1
    x = np.concatenate([np.linspace(-1.4, 1.4, 57), [-0.0, 0.0]]).astype(np.float32)
    found = made.codes(torch.from_numpy(x), (), drawn=False).numpy()
    expected = np.round(np.clip(x, -1, 1) * m) if m else np.where(x < 0, -1, 1)
    np.testing.assert_array_equal(found, expected)
    numbers = code_numbers(made.code)
    assert set(numbers) == (set(range(-m, m + 1)) if m else {-1, 1})
    assert list(numbers) == sorted(numbers)
    assert made.unit(1.0) == 1 / max(m, 1)


def test_two_bits_are_minus_one_zero_and_one() -> None:
    layer = BinaryLinear(50, 20, method="wrpn", role="body")
    read = layer.read_weight()
    assert set(np.unique(read.detach().numpy())) == {-1, 0, 1}


def test_beyond_the_clip_there_is_no_gradient() -> None:
    layer = BinaryLinear(4, 1, bias=False, method="wrpn", role="body")
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.5, -1.0, 0.3, 1.1]]))
    layer.read_weight().sum().backward()
    assert layer.weight.grad is not None
    np.testing.assert_array_equal(layer.weight.grad.numpy(), [[0, 1, 1, 0]])
