"""Pixels times weights of two digits and more: one float32 sum in an agreed order, the same bits in every
engine."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bnn_train.packed import native
from bnn_train.packed.engine import Engine
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import (
    BitWeight,
    Conv,
    Epilogue,
    Geometry,
    IntWeight,
    Program,
    Thresholds,
    Value,
)
from bnn_train.packed.reference import engine as reference
from bnn_train.packed.reference.product import in_order
from bnn_train.packed.validate import check
from native_kernels import kernels as kernels
from packed_programs import SIGN, Made, header_of, random_input, single_conv

Array = NDArray[Any]


def nearest(value: Fraction) -> Fraction:
    """The float32 nearest to a whole number, ties to even, without floating point."""
    size = abs(value.numerator)
    shift = max(0, size.bit_length() - 24)
    kept, rest, half = size >> shift, size & ((1 << shift) - 1), (1 << shift) >> 1
    if shift and (rest > half or (rest == half and kept & 1)):
        kept += 1
    return Fraction((kept << shift) * (1 if value >= 0 else -1))


def one_by_one(x: Array, w: Array, g: Geometry) -> Array:
    """Tap by tap and channel by channel over the padded map, float64 rounded to float32 after each.

    x: N×H×W×C; w: O×Kh×Kw×I.
    """
    (top, left), (down, across) = g.padding, g.dilation
    padded = np.pad(x, ((0, 0), (top, top), (left, left), (0, 0))).astype(np.float64)
    reach = [g.dilation[i] * (g.kernel[i] - 1) for i in range(2)]
    inner, outer = w.shape[3], len(w) // g.groups
    found = []
    for o, filters in enumerate(w):
        first, total = o // outer * inner, np.zeros(0, np.float32)
        for r in range(g.kernel[0]):
            for c in range(g.kernel[1]):
                rows = slice(r * down, padded.shape[1] - reach[0] + r * down, g.stride[0])
                columns = slice(c * across, padded.shape[2] - reach[1] + c * across, g.stride[1])
                for i in range(inner):
                    term = padded[:, rows, columns, first + i] * float(filters[r, c, i])
                    wide = total.astype(np.float64) + term if total.size else term
                    total = wide.astype(np.float32)
        found.append(total)
    return np.stack(found, axis=-1)


def weights_of(made: Made) -> Array:
    """Whole weights O×Kh×Kw×I of the layer ``conv``."""
    stored = made.tensors["conv.w"].astype(np.int64)
    return np.asarray(sum(256**d * digit for d, digit in enumerate(stored)))


GEOMETRIES = (
    Geometry(kernel=(3, 3), padding=(1, 1)),
    Geometry(kernel=(7, 7), stride=(2, 2), padding=(3, 3)),
    Geometry(kernel=(11, 11), stride=(4, 4), padding=(2, 2)),
    Geometry(kernel=(5, 5)),
    Geometry(kernel=(3, 2), stride=(2, 1), padding=(1, 0), dilation=(2, 2)),
    Geometry(kernel=(16, 19)),
)


@pytest.mark.parametrize("kind", ["int2", "int3"])
@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (3, 1), (2, 2), (6, 3)])
@pytest.mark.parametrize("g", GEOMETRIES, ids=lambda g: "x".join(map(str, g.kernel)))
def test_every_engine_adds_in_one_order(
    g: Geometry, channels: int, groups: int, kind: str, kernels: tuple[str, ...]
) -> None:
    g = g.model_copy(update={"groups": groups})
    made = single_conv(
        source="u8", size=(16, 19), channels=channels, outputs=18 * groups, weight=kind, geometry=g, parts=""
    )
    x = random_input(made.program, 3)
    truth = one_by_one(x, weights_of(made), g)
    wanted = reference.build(made.program, made.tensors).step(0, {0: x}, 1)
    assert np.array_equal(wanted[1].view(np.uint32), truth.view(np.uint32))
    for isa in kernels:
        found = native.build(made.program, made.tensors, isa).step(0, {0: x}, 1)
        assert all(np.array_equal(found[v].view(np.uint32), wanted[v].view(np.uint32)) for v in wanted), isa


def test_each_step_rounds_once() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (4, 1, 1, 60), dtype=np.uint8)
    w = rng.integers(-(2**23), 2**23, (5, 1, 1, 60))
    found = in_order(x, w, Geometry(kernel=(1, 1)))[:, 0, 0]
    for n in range(4):
        for o in range(5):
            total = Fraction(0)
            for pixel, weight in zip(x[n, 0, 0].tolist(), w[o, 0, 0].tolist(), strict=True):
                total = nearest(total + pixel * weight)
            assert Fraction(float(found[n, o])) == total


def dense(weights: list[int]) -> Made:
    """One filter over a pixel of many channels, to a real number and to its sign."""
    digits, left = [], np.array(weights, np.int64)
    for _ in range(3):
        low = ((left + 128) & 255) - 128
        digits.append(low)
        left = (left - low) // 256
    assert not left.any()
    values = (
        Value(type="u8", height=1, width=1, channels=len(weights)),
        Value(type="f32", height=1, width=1, channels=1),
    )
    step = Conv(layer="c", input=0, output=1, weight=IntWeight(tensor="w"), geometry=Geometry(kernel=(1, 1)))
    stored = np.array(digits, np.int8).reshape(3, 1, 1, 1, len(weights))
    return Made(Program(values=values, steps=(step,), output=1), {"w": stored}, True)


@pytest.mark.parametrize(
    ("order", "total"),
    [
        ("large, small, -large", 0),  # 255·2²² lies where float32 has every 64th number: 20 is lost
        ("small, large, -large", 0),
        ("large, -large, small", 20),
    ],
)
def test_the_order_matters(order: str, total: int, kernels: tuple[str, ...]) -> None:
    numbers = {"large": (255, 2**22), "-large": (255, -(2**22)), "small": (1, 20)}
    pixels, weights = zip(*(numbers[word] for word in order.split(", ")), strict=True)
    made, x = dense(list(weights)), np.array([pixels, pixels], np.uint8).reshape(2, 1, 1, 3)
    engines: list[Engine] = [reference.build(made.program, made.tensors)]
    engines += [native.build(made.program, made.tensors, isa) for isa in kernels]
    for engine in engines:
        assert engine.run(x, 1).tolist() == [[total]] * 2


def test_whole_thresholds_are_for_whole_products() -> None:
    made = single_conv(source="u8", channels=3, weight="int2", parts="", results="bits")
    limits = np.rint(made.tensors["conv.t"]).astype(np.int32)
    with pytest.raises(PackedFileError, match="int32 thresholds for a real product; they must be float32"):
        check(header_of(made), {**made.tensors, "conv.t": limits})
    one = single_conv(source="u8", channels=3, weight="int1", parts="", results="bits")
    limits = np.rint(one.tensors["conv.t"]).astype(np.int32)
    check(header_of(one), {**one.tensors, "conv.t": limits})


def test_sums_that_float64_would_not_hold_are_refused() -> None:
    """From 2⁵¹ on: 2²⁰ pixels by the largest weights."""
    channels = 2**20 + 16
    values = (
        Value(type="u8", height=1, width=1, channels=channels),
        Value(type="bits", height=1, width=1, channels=1, code=SIGN),
        Value(type="f32", height=1, width=1, channels=1),
    )
    window = Geometry(kernel=(1, 1))
    first = Conv(layer="first", input=0, bits=1, weight=IntWeight(tensor="w"), geometry=window,
                 epilogue=Epilogue(), thresholds=Thresholds(tensor="t"))  # fmt: skip
    last = Conv(layer="last", input=1, output=2, weight=BitWeight(tensor="s"), geometry=window)
    program = Program(values=values, steps=(first, last), output=2)
    tensors: dict[str, Array] = {
        "w": np.full((3, 1, 1, 1, channels), -128, np.int8),
        "t": np.zeros((1, 1), np.float32),
        "s": np.zeros((1, 1, 1), np.uint8),
    }
    made = Made(program, tensors, True)
    with pytest.raises(PackedFileError, match=r"first: sums to \d+ leave 52 bits; the layer is too wide"):
        check(header_of(made), tensors)
    less = {**tensors, "w": np.full((3, 1, 1, 1, channels), -127, np.int8)}
    check(header_of(made), less)
