"""The reference's sums over a window, and its fused multiply-add, against PyTorch in float64 and exact
fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from bnn_train.packed import bits
from bnn_train.packed.program import Code, Geometry
from bnn_train.packed.reference.bit_product import bit_product
from bnn_train.packed.reference.engine import build
from bnn_train.packed.reference.fma import fma
from bnn_train.packed.reference.product import rounded, whole
from bounds import assert_within, gamma
from packed_programs import (
    SIGN,
    SYMMETRIC_2,
    TERNARY,
    UNSIGNED_1,
    UNSIGNED_2,
    Maker,
    random_input,
    single_conv,
)

Array = NDArray[Any]
CODES = (SIGN, TERNARY, UNSIGNED_1, UNSIGNED_2, SYMMETRIC_2)


def torch_conv(x: Array, w: Array, g: Geometry, pad: float = 0) -> Array:
    """x N×H×W×C, w O×Kh×Kw×I, in float64, taps outside the map ``pad``."""
    images, weights = (torch.from_numpy(a.astype(np.float64)).permute(0, 3, 1, 2) for a in (x, w))
    images = F.pad(images, (g.padding[1], g.padding[1], g.padding[0], g.padding[0]), value=pad)
    y = F.conv2d(images, weights, None, g.stride, 0, g.dilation, g.groups)
    found: Array = y.permute(0, 2, 3, 1).numpy()
    return found


def random_geometry(rng: np.random.Generator) -> tuple[Geometry, int, int]:
    """With the numbers of input and output channels."""
    groups = int(rng.integers(1, 4))

    def pair(low: int, high: int) -> tuple[int, int]:
        first, second = rng.integers(low, high, 2).tolist()
        return first, second

    geometry = Geometry(
        kernel=pair(1, 4), stride=pair(1, 4), padding=pair(0, 4), dilation=pair(1, 3), groups=groups
    )
    return geometry, groups * int(rng.integers(1, 70)), groups * int(rng.integers(1, 5))


@pytest.mark.parametrize("w_code", CODES)
@pytest.mark.parametrize("a_code", CODES)
def test_codes_times_codes(a_code: Code, w_code: Code) -> None:
    rng = np.random.default_rng(len(a_code.values) * 8 + len(w_code.values))
    for _ in range(6):
        g, channels, outputs = random_geometry(rng)
        x = rng.choice(bits.code_numbers(a_code), (2, 7, 6, channels))
        w = rng.choice(bits.code_numbers(w_code), (outputs, *g.kernel, channels // g.groups))
        rows = bits.pack_filters(w, w_code)
        for pad in (-1, 0, 1):
            y = bit_product(bits.encode(x, a_code), channels, a_code, rows, w_code, g, pad)
            assert y.dtype == np.int32
            assert np.array_equal(y, torch_conv(x, w, g, pad))


def test_more_products_than_16_bits_hold() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.choice([-1, 1], (1, 1, 1, 70_000)), rng.choice([-1, 1], (3, 1, 1, 70_000))
    w[0] = x
    y = bit_product(bits.encode(x), 70_000, SIGN, bits.pack_filters(w), SIGN, Geometry(kernel=(1, 1)), 0)
    assert y.reshape(-1).tolist() == (w.reshape(3, -1) @ x.reshape(-1)).tolist()
    assert y.reshape(-1)[0] == 70_000


def test_pixels_times_whole_numbers() -> None:
    rng = np.random.default_rng(1)
    for most in (1, 2**7, 2**23):
        for _ in range(5):
            g, channels, outputs = random_geometry(rng)
            x = rng.integers(0, 256, (2, 7, 6, channels), dtype=np.uint8)
            w = rng.integers(-most, most, (outputs, *g.kernel, channels // g.groups))
            assert np.array_equal(whole(x, w, g), torch_conv(x, w, g))


def test_pixels_beyond_what_float64_adds_exactly() -> None:
    x = np.full((1, 1, 1, 3), 255, np.uint8)
    w = np.array([2**44 + 1, 2**45 + 1, -(2**45)]).reshape(1, 1, 1, 3)
    assert whole(x, w, Geometry(kernel=(1, 1))).item() == 255 * (2**44 + 2)


@pytest.mark.parametrize("kind", ["int1", SIGN, TERNARY])
@pytest.mark.parametrize("gain", [False, True])
def test_the_weights_of_pixels(kind: str | Code, gain: bool) -> None:
    made = single_conv(source="u8", channels=3, weight=kind, gain=gain, parts="", results="f32")
    x, stored = random_input(made.program), made.tensors["conv.w"].astype(np.int64)
    if isinstance(kind, Code):
        w = bits.filter_codes(made.tensors["conv.w"], (3, 3, 3), kind).astype(np.int64)
        w = w * made.tensors["conv.gain"] if gain else w
    else:
        w = sum(256**d * digit for d, digit in enumerate(stored))
    y = build(made.program, made.tensors).step(0, {0: x}, 1)[1]
    truth = torch_conv(x, w, Geometry(kernel=(3, 3), padding=(1, 1)))
    assert np.array_equal(y, truth.astype(np.int64).astype(np.float32))


@pytest.mark.parametrize("kind", ["f32", "bf16", SIGN, TERNARY, UNSIGNED_2])
@pytest.mark.parametrize("groups", [1, 4])
def test_real_inputs(kind: str | Code, groups: int) -> None:
    g = Geometry(kernel=(3, 2), stride=(2, 1), padding=(1, 0), groups=groups)
    made = single_conv(source="f32", channels=20, weight=kind, geometry=g, parts="", results="f32")
    stored = made.tensors["conv.w"]
    if isinstance(kind, Code):
        w = bits.filter_codes(stored, (3, 2, 20 // groups), kind)
    else:
        w = stored if kind == "f32" else (stored.astype(np.uint32) * 2**16).view(np.float32)
    x = random_input(made.program)
    y = build(made.program, made.tensors).step(0, {0: x}, 1)[1]
    terms = w[0].size + 1  # the result is rounded, too
    assert_within(y, torch_conv(x, w, g), gamma(terms) * torch_conv(abs(x), abs(w), g))


def test_inputs_rounded_image_by_image() -> None:
    rng = np.random.default_rng(3)
    x = (
        rng.standard_normal((3, 5, 4, 6)).astype(np.float32)
        * np.array([1, 50, 1e-20], np.float32)[:, None, None, None]
    )
    w = rng.integers(-128, 128, (4, 3, 3, 6))
    g = Geometry(kernel=(3, 3), padding=(1, 1))
    y = rounded(x, w, g)
    for image, result in zip(x, y, strict=True):
        m = np.float32(max(abs(float(v)) for v in image.reshape(-1)))
        q = np.array([round(float(v * (np.float32(127) / m))) for v in image.reshape(-1)]).reshape(
            image.shape
        )
        assert abs(q).max() == 127
        sums = torch_conv(q[None], w, g)[0].astype(np.float32)
        assert np.array_equal(result, sums * (m / np.float32(127)))


def test_rounded_inputs_that_have_no_scale() -> None:
    x = np.zeros((4, 1, 1, 2), np.float32)
    x[1, ..., 0], x[2, ..., 0], x[3, ..., 0] = 1e-45, np.nan, -np.inf
    with np.errstate(all="ignore"):
        y = rounded(x, np.ones((1, 1, 1, 2), np.int64), Geometry(kernel=(1, 1))).reshape(-1)
    assert np.array_equal(y, [0, 0, np.nan, np.nan], equal_nan=True)


def nearest(value: Fraction) -> np.float32:
    """The float32 nearest to a fraction, ties to even."""
    guess = np.float32(float(value))
    around = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    distance = [abs(Fraction(float(v)) - value) for v in around]
    best = [v for v, d in zip(around, distance, strict=True) if d == min(distance)]
    even: np.float32 = next((v for v in best if not int(v.view(np.uint32)) & 1), best[0])
    return even


def test_fma_rounds_once() -> None:
    rng = np.random.default_rng(4)
    a, b = (rng.standard_normal((2, 3000)) * 10.0 ** rng.integers(-18, 18, (2, 3000))).astype(np.float32)
    near = rng.choice([0.0, 1e-7, 2**-24, -(2**-24), 2**-25, 2**-50, 1.0], 3000)
    c = (-(a.astype(np.float64) * b) * (1 + near)).astype(np.float32)
    truth = [
        nearest(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)))
        for x, y, z in zip(a, b, c, strict=True)
    ]
    assert np.array_equal(fma(a, b, c), truth)


def test_fma_where_two_roundings_differ() -> None:
    # (1 + 2⁻¹²)² = 1 + 2⁻¹¹ + 2⁻²⁴ lies halfway between two float32; the 2⁻⁷⁰ beside it, which float64
    # cannot hold, decides
    a, step = np.array([1 + 2**-12], np.float32), np.array([2**-70], np.float32)
    low, high = np.float32(1 + 2**-11), np.nextafter(np.float32(1 + 2**-11), np.float32(2))
    assert fma(a, a, step) == high
    assert fma(a, a, 0 * step) == low
    assert fma(a, a, -step) == low


def test_fma_of_what_is_not_finite() -> None:
    one, infinite = np.array([1], np.float32), np.array([np.inf], np.float32)
    with np.errstate(all="ignore"):
        assert np.isnan(fma(infinite, 0 * one, one))
        assert fma(infinite, one, one) == np.inf
        assert np.isnan(fma(one, infinite, -infinite))
        assert fma(one * 3e38, 2 * one, one * -3e38) == np.float32(3e38)  # no overflow in between


def test_values_and_steps_agree() -> None:
    m = Maker(0)
    assert m.values == []
    made = single_conv(channels=5)
    engine = build(made.program, made.tensors)
    x = random_input(made.program)
    values = {0: x}
    for i in range(len(made.program.steps)):
        values.update(engine.step(i, values, 1))
    assert np.array_equal(engine.run(x, 1), values[made.program.output].reshape(2, -1))
