"""The reference's epilogue and thresholds, line by line, against the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnn_train.packed import bits
from bnn_train.packed.program import Code, Epilogue, Geometry, Thresholds
from bnn_train.packed.reference.engine import build
from bnn_train.packed.reference.epilogue import epilogue, hardtanh, relu, threshold
from bnn_train.packed.reference.fma import fma
from bnn_train.packed.shapes import border_classes
from packed_programs import Made, random_input, single_conv

RNG = np.random.default_rng(0)
ODD = np.array([-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, np.nan, np.inf, -np.inf], np.float32)


def reals(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def test_activations_keep_nan() -> None:
    assert np.array_equal(relu(ODD), [0, 0, 0, 0, 0.5, 1, 2, np.nan, np.inf, 0], equal_nan=True)
    assert np.array_equal(hardtanh(ODD), [-1, -1, 0, 0, 0.5, 1, 1, np.nan, 1, -1], equal_nan=True)
    assert np.signbit(relu(ODD)[2])
    assert np.signbit(hardtanh(ODD)[2])


def test_every_line_in_its_order() -> None:
    y = RNG.integers(-50, 50, (2, 3, 4, 6)).astype(np.int32)
    tensors = {"s": reals(6), "b": reals(4, 6), "a": reals(6), "c": reals(6)}
    values = {7: reals(2, 3, 4, 3), 8: reals(2, 3, 4, 6)}
    classes = RNG.integers(0, 4, (3, 4))
    e = Epilogue(
        scale="s", input_scale=7, bias="b", norm=("a", "c"), activation="relu", residual=8, stream="hardtanh"
    )
    found = epilogue(y, e, tensors, values, classes)
    truth = np.empty((2, 3, 4, 6), np.float32)
    for n, h, w, c in np.ndindex(2, 3, 4, 6):
        v = np.float32(y[n, h, w, c]) * tensors["s"][c]
        v = v * values[7][n, h, w, c // 2]
        v = v + tensors["b"][classes[h, w], c]
        v = fma(np.array([v]), tensors["a"][[c]], tensors["c"][[c]])[0]
        v = max(v, np.float32(0)) + values[8][n, h, w, c]
        truth[n, h, w, c] = min(max(v, np.float32(-1)), np.float32(1))
    assert found.dtype == np.float32
    assert np.array_equal(found, truth)


def test_whole_numbers_are_rounded_to_nearest_even() -> None:
    y = np.array([2**24 + 1, 2**24 + 3, -(2**24) - 1, 2**31 - 1, 2**61 + 2**37]).reshape(1, 1, 1, 5)
    found = epilogue(y, Epilogue(), {}, {}, np.zeros((1, 1), int)).reshape(-1).tolist()
    assert found == [2**24, 2**24 + 4, -(2**24), 2**31, 2**61]


@pytest.mark.parametrize("planes", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_thresholds_count(planes: int, dtype: Any) -> None:
    levels = 2**planes - 1
    y = RNG.integers(-9, 9, (2, 3, 3, 34)).astype(dtype)
    limits, flip = RNG.integers(-9, 9, (levels, 34)).astype(dtype), RNG.integers(0, 2, 34).astype(np.uint8)
    for rule in (Thresholds(tensor="t"), Thresholds(tensor="t", flip="f")):
        words = threshold(y, rule, Code(values=tuple(2**p for p in range(planes))), {"t": limits, "f": flip})
        negative = bits.unpack_words(words, 34)
        for n, h, w, c in np.ndindex(2, 3, 3, 34):
            v = y[n, h, w, c]
            failed = [v > t if rule.flip and flip[c] else v < t for t in limits[:, c]]
            level = levels - sum(map(bool, failed))
            assert [not b for b in negative[n, h, w, :, c]] == [bool(level >> p & 1) for p in range(planes)]


def test_nan_and_zeros_pass() -> None:
    y = ODD.reshape(1, 1, 1, -1)
    limits: dict[str, np.ndarray] = {"t": np.zeros((1, 10), np.float32), "f": np.ones(10, np.uint8)}
    rising = bits.unpack_words(threshold(y, Thresholds(tensor="t"), Code(), limits), 10).reshape(-1)
    falling = bits.unpack_words(threshold(y, Thresholds(tensor="t", flip="f"), Code(), limits), 10).reshape(
        -1
    )
    assert rising.tolist() == [True, True, *[False] * 7, True]
    assert falling.tolist() == [*[False] * 4, True, True, True, False, True, False]


@pytest.mark.parametrize("flip", [False, True])
def test_always_and_never(flip: bool) -> None:
    b = 27
    y = np.array([-b, 0, b]).reshape(1, 3, 1, 1) * np.ones((1, 1, 1, 2), int)
    always, never = (b + 1, -b - 1) if flip else (-b - 1, b + 1)
    tensors: dict[str, np.ndarray] = {
        "t": np.array([[always, never]], np.int32),
        "f": np.full(2, flip, np.uint8),
    }
    words = threshold(y, Thresholds(tensor="t", flip="f"), Code(), tensors)
    assert bits.unpack_words(words, 2).reshape(3, 2).tolist() == [[False, True]] * 3
    most = np.finfo(np.float32).max
    finite = np.array([-3e38, 0, 3e38], np.float32).reshape(1, 3, 1, 1) * np.ones((1, 1, 1, 2), np.float32)
    tensors["t"] = np.array([[most, -most] if flip else [-most, most]], np.float32)
    words = threshold(finite, Thresholds(tensor="t", flip="f"), Code(), tensors)
    assert bits.unpack_words(words, 2).reshape(3, 2).tolist() == [[False, True]] * 3


def values(made: Made) -> dict[int, np.ndarray]:
    engine, found = build(made.program, made.tensors), {0: random_input(made.program)}
    for i in range(len(made.program.steps)):
        found.update(engine.step(i, found, 1))
    return found


def test_the_bias_of_border_classes() -> None:
    g = Geometry(kernel=(3, 3), stride=(2, 1), padding=(1, 2), dilation=(1, 2))
    made = single_conv(size=(6, 7), geometry=g, parts="classes", results="f32")
    bare = made.program.model_copy(
        update={
            "steps": tuple(
                s.model_copy(update={"epilogue": Epilogue()}) if s.layer == "conv" else s
                for s in made.program.steps
            )
        }
    )
    with_bias, without = values(made), values(Made(bare, made.tensors))
    rows, columns, _, count = border_classes(g, 6, 7)
    bias = made.tensors["conv.bias"]
    conv = 2
    for h, row in enumerate(rows):
        for w, column in enumerate(columns):
            assert np.array_equal(
                with_bias[conv][:, h, w], without[conv][:, h, w] + bias[row * count + column]
            )


def test_both_outputs_come_from_one_number() -> None:
    made = single_conv(channels=40, outputs=33, results="both", flip=False)
    found, step = values(made), next(s for s in made.program.steps if s.layer == "conv")
    assert step.op == "conv"
    assert step.output is not None
    assert step.bits is not None
    real, words = found[step.output], found[step.bits]
    assert np.array_equal(bits.unpack_words(words, 33)[..., 0, :], real < made.tensors["conv.t"][0])
