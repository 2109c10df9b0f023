"""Lines with a bend, sigmoids, gates and joined maps: the reference against the page's formulas, and the
rules that their steps keep."""

from __future__ import annotations

import json
import math
import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from bnn_train.packed import container, native
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import Channels, Concat, Epilogue, Map, Prelu, Program, version_of
from bnn_train.packed.reference.engine import build
from bnn_train.packed.reference.epilogue import epilogue
from bnn_train.packed.reference.sigmoid import sigmoid
from bnn_train.packed.validate import check
from native_kernels import kernels  # noqa: F401  # a fixture
from packed_damage import file_of, plain, put
from packed_programs import Made, Maker, header_of, random_input, single_conv
from packed_streams import gated_map, joined

ODD = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 88.8, -88.8, -103.9, -104.5, 3e38], np.float32
)
GATED = single_conv(parts="scale gate norm", activation="rprelu", stream="maxout", results="f32", outputs=6)
CONV = f"program.steps.{next(i for i, s in enumerate(GATED.program.steps) if s.layer == 'conv')}"
JOINED = joined(3, 4, 2, 5)


def refused(content: bytes, match: str) -> None:
    with pytest.raises(PackedFileError, match=match):
        container.unpack(content)


def changed(made: Made, path: str, value: Any, version: int = 2) -> bytes:
    raw = put(put(plain(header_of(made)), path, value), "version", version)
    return file_of(raw, made.tensors, version)


def by_the_page(y: float) -> float:
    """FORMAT.md §5.2, in Python's float64."""
    t = -min(abs(y), 104.0)
    k = round(t * float.fromhex("0x1.71547652b82fep+0"))
    r = (t - k * float.fromhex("0x1.62e42feep-1")) - k * float.fromhex("0x1.a39ef35793c76p-33")
    p = 1 / math.factorial(13)
    for i in range(12, -1, -1):
        p = p * r + 1 / math.factorial(i)
    e = p * 2.0**k
    return e / (1 + e) if y < 0 else 1 / (1 + e)


def rounded(y: float) -> float:
    return float(np.float32(y))


def numbers(count: int) -> np.ndarray:
    """float32 of ordinary size, of every exponent, and odd ones."""
    rng = np.random.default_rng(1)
    any_bits = rng.integers(0, 2**32, count, dtype=np.uint32).view(np.float32)
    near = (rng.standard_normal(count) * 12).astype(np.float32)
    return np.concatenate([any_bits, near, ODD, np.float32(-104) + np.arange(64, dtype=np.float32) / 64])


def test_the_sigmoid_of_the_page() -> None:
    y = numbers(500)
    with np.errstate(invalid="ignore"):  # signalling NaNs among the bits
        found = sigmoid(y)
    wanted = [math.nan if math.isnan(v) else rounded(by_the_page(float(v))) for v in y]
    assert found.dtype == np.float32
    assert np.array_equal(found, np.array(wanted, np.float32), equal_nan=True)


def test_the_sigmoid_is_right() -> None:
    """Against e^y of exact fractions: the nearest float32, or its neighbour where two are as good as equally
    near."""
    for y in np.linspace(-20, 20, 81, dtype=np.float32):
        x = Fraction(float(y)) / 32
        e = sum((-x) ** i / math.factorial(i) for i in range(24)) ** 32
        assert abs(Fraction(float(sigmoid(y[None])[0])) * (1 + e) - 1) < Fraction(51, 100 * 2**23)
    assert sigmoid(ODD)[:4].tolist() == [0.5, 0.5, 1, 0]
    assert sigmoid(np.array([-103.5], np.float32))[0] == struct.unpack("<f", b"\x01\0\0\0")[0]
    assert sigmoid(np.array([-104], np.float32))[0] == 0


def test_the_sigmoid_on_every_kernel(kernels: tuple[str, ...]) -> None:  # noqa: F811
    m, y = Maker(0), numbers(4000)
    y = y[: len(y) // 16 * 16].reshape(1, -1, 1, 16)
    x = m.value("f32", y.shape[1], 1, 16)
    out = m.value("f32", y.shape[1], 1, 16)
    m.steps.append(Map(layer="map", input=x, output=out, epilogue=Epilogue(activation="sigmoid")))
    made = m.done(m.head(out, None))
    for kernel in kernels:
        found = native.build(made.program, made.tensors, kernel).step(0, {0: y}, 1)[out]
        with np.errstate(invalid="ignore"):
            assert np.array_equal(found, sigmoid(y), equal_nan=True), kernel


def test_every_line_of_a_bend_in_its_order() -> None:
    rng = np.random.default_rng(2)
    y = rng.integers(-50, 50, (2, 3, 4, 6)).astype(np.int32)
    tensors = {name: rng.standard_normal(6).astype(np.float32) for name in "nbpafs"}
    gate, residual = (rng.standard_normal(s).astype(np.float32) for s in ((2, 1, 1, 6), (2, 3, 4, 6)))
    inner, outer = Prelu(negative="n", before="b", positive="p", after="a"), Prelu(negative="s")
    e = Epilogue(scale="f", gate=7, activation=inner, residual=8, stream=outer)
    found = epilogue(y, e, tensors, {7: gate, 8: residual}, np.zeros((3, 4), int))
    for n, h, w, c in np.ndindex(y.shape):
        v = np.float32(y[n, h, w, c]) * tensors["f"][c] * gate[n, 0, 0, c] + tensors["b"][c]
        v = v * tensors["n"][c] if v < 0 else v * tensors["p"][c]
        v = v + tensors["a"][c] + residual[n, h, w, c]
        assert found[n, h, w, c] == (v * tensors["s"][c] if v < 0 else v)


def test_nan_and_zeros_pass_a_bend() -> None:
    y = np.array([np.nan, -0.0, np.inf, -np.inf], np.float32).reshape(1, 1, 4, 1)
    slope = {"n": np.array([-2.0], np.float32)}
    found = epilogue(y, Epilogue(stream=Prelu(negative="n")), slope, {}, np.zeros((1, 4), int)).reshape(-1)
    assert np.array_equal(found, [np.nan, 0, np.inf, np.inf], equal_nan=True)


def test_joined_and_parted_maps() -> None:
    engine, values = build(JOINED.program, JOINED.tensors), {0: random_input(JOINED.program)}
    for i, step in enumerate(JOINED.program.steps):
        values.update(engine.step(i, values, 1))
        if isinstance(step, Concat):
            assert values[step.output].shape[3] == 7
            assert np.array_equal(values[step.output][..., :3], values[step.input])
            assert np.array_equal(values[step.output][..., 3:], values[step.second])
        if isinstance(step, Channels):
            assert np.array_equal(values[step.output], values[step.input][..., 2:7])


def test_versions() -> None:
    plain = single_conv(parts="scale norm", activation="relu", results="f32")
    assert version_of(plain.program) == 1
    newer = [single_conv(parts="norm", activation=a, results="f32") for a in ("sigmoid", "prelu")]
    newer += [single_conv(parts="norm", stream="prelu"), single_conv(parts="gate"), JOINED, gated_map()]
    assert {version_of(made.program) for made in newer} == {2}


@pytest.mark.parametrize("made", [GATED, JOINED, gated_map()])
def test_a_file_packs_to_itself(made: Made) -> None:
    content = container.pack(header_of(made), made.tensors)
    header, tensors = container.unpack(content)
    assert header == header_of(made)
    assert container.pack(header, tensors) == content


def test_an_absent_gate_is_left_out() -> None:
    old = single_conv(parts="scale", results="f32")
    assert "gate" not in json.dumps(header_of(old).model_dump())
    at = len(old.program.steps) - 2
    refused(changed(old, f"program.steps.{at}.epilogue.gate", None, 1), "in another form")


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ("activation", "gelu", "activation.word: Input should be 'none', 'relu', 'hardtanh' or 'sigmoid'"),
        ("activation", 3, "activation"),
        ("activation", {"negative": "conv.scale"}, "in another form"),
        ("activation.slope", 1, "Extra inputs"),
        ("activation.negative", None, "valid string"),
        ("activation.negative", "none", "no tensor none"),
        ("activation.after", "gate.w", "it must be float32 6"),
        ("gate", 0, "its gate is f32 6×5×32; it must be f32 1×1×6"),
        ("gate", 99, "it names value 99"),
        ("gate", "1", "valid integer"),
    ],
)
def test_wrong_fields(path: str, value: Any, match: str) -> None:
    refused(changed(GATED, f"{CONV}.epilogue.{path}", value), match)


def test_slopes_are_finite() -> None:
    for bad in (np.nan, np.inf, 2e30):
        tensors = {name: t.copy() for name, t in GATED.tensors.items()}
        tensors["conv.a.negative"][1] = bad
        with pytest.raises(PackedFileError, match="NaN, infinity or a number beyond"):
            check(header_of(GATED), tensors)


def with_step(made: Made, kind: type, **fields: Any) -> Program:
    steps = [s.model_copy(update=fields) if isinstance(s, kind) else s for s in made.program.steps]
    return made.program.model_copy(update={"steps": tuple(steps)})


BROKEN: tuple[tuple[type, dict[str, Any], str], ...] = (
    (Concat, {"second": 0}, "its output is f32 5×4×7; it must be f32 5×4×6"),
    (Concat, {"second": 2}, "its second input is bits"),
    (Channels, {"start": 3}, "channels 3 to 8 are not all among 7"),
    (Channels, {"start": 2**40}, "are not all among 7"),
    (Channels, {"input": 2}, "its input is bits; it must be f32"),
)


@pytest.mark.parametrize(("kind", "fields", "match"), BROKEN)
def test_joined_shapes(kind: type, fields: dict[str, Any], match: str, kernels: tuple[str, ...]) -> None:  # noqa: F811
    """In the rules, and once more in the kernels."""
    program = with_step(JOINED, kind, **fields)
    with pytest.raises(PackedFileError, match=match):
        check(header_of(Made(program, JOINED.tensors)), JOINED.tensors)
    with pytest.raises(PackedFileError, match="shapes do not agree"):
        native.build(program, JOINED.tensors, kernels[0])


def test_a_gate_of_another_shape_in_the_kernels(kernels: tuple[str, ...]) -> None:  # noqa: F811
    made = gated_map(16)
    step = next(s for s in made.program.steps if s.layer == "gated")
    assert isinstance(step, Map)
    program = with_step(made, Map, epilogue=step.epilogue.model_copy(update={"gate": 0}))
    with pytest.raises(PackedFileError, match="shapes do not agree"):
        native.build(program, made.tensors, kernels[0])
