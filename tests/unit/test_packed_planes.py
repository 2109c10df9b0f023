"""Products, thresholds and pooling of planes with real factors: the reference against the formula written
out, every kernel against the reference."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bnn_train.packed import bits
from bnn_train.packed import kernels as selection
from bnn_train.packed.operands import SIGN
from bnn_train.packed.program import AnyCode, Conv, Epilogue, Geometry, Map, Planes, Pool, Thresholds
from bnn_train.packed.reference.engine import ReferenceEngine
from bnn_train.packed.shapes import output_size
from bnn_train.packed.validate import check
from native_kernels import kernels  # noqa: F401  # a fixture
from packed_programs import (
    SYMMETRIC_2,
    TERNARY,
    UNSIGNED_2,
    Made,
    Maker,
    header_of,
    random_input,
    single_conv,
)

Array = NDArray[Any]
P1, P2, P3, P8 = (Planes(count=count) for count in (1, 2, 3, 8))
SAME = Geometry(kernel=(3, 3), padding=(1, 1))
GEOMETRIES = {
    "same": SAME,
    "1x1": Geometry(kernel=(1, 1)),
    "stride": Geometry(kernel=(3, 2), stride=(2, 3), padding=(1, 0)),
    "dilation": Geometry(kernel=(3, 3), padding=(2, 2), dilation=(2, 2)),
    "groups": Geometry(kernel=(3, 3), padding=(1, 1), groups=3),
    "wide padding": Geometry(kernel=(2, 2), padding=(3, 2)),
}
PAIRS: list[tuple[AnyCode, AnyCode]] = [
    *((a, w) for a in (P1, P2, P3) for w in (P1, P2, P3)),
    *((a, w) for a in (P1, P3) for w in (SIGN, TERNARY, SYMMETRIC_2)),
    *((a, w) for a in (SIGN, TERNARY, UNSIGNED_2) for w in (P1, P3)),
    (P8, P2),
]


def planes_of(code: AnyCode, values: Array) -> list[Array]:
    """Whole numbers of each term, from the truth values (−1) …×P×C of its bits."""
    signs = 1 - 2 * values.astype(np.int64)
    if isinstance(code, Planes):
        return [signs[..., p, :] for p in range(code.count)]
    weighted = np.einsum("...pc,p->...c", signs, np.array(code.values))
    return [(code.offset + weighted) // code.denominator]


def dots(x: Array, w: Array, geometry: Geometry, pad: int) -> Array:
    """Whole numbers N×H×W×C with O×Kh×Kw×I, pixel by pixel; outside the map stands ``pad``."""
    (top, left), (down, across) = geometry.padding, geometry.stride
    padded = np.pad(x, ((0, 0), (top, top), (left, left), (0, 0)), constant_values=pad)
    height, width = output_size(geometry, *x.shape[1:3])
    y = np.zeros((len(x), height, width, len(w)), np.int64)
    each, inner = len(w) // geometry.groups, w.shape[3]
    for r in range(height):
        for c in range(width):
            rows = r * down + geometry.dilation[0] * np.arange(geometry.kernel[0])
            columns = c * across + geometry.dilation[1] * np.arange(geometry.kernel[1])
            seen = padded[:, rows[:, None], columns[None, :]]
            for o in range(len(w)):
                first = o // each * inner
                y[:, r, c, o] = (seen[..., first : first + inner] * w[o]).sum(axis=(1, 2, 3))
    return y


def stated(made: Made, step: Conv, x: Array, kind: Any = np.float32) -> Array:
    """The product of a convolution as ``FORMAT.md`` states it; ``kind``: the type of its numbers."""
    source = made.program.values[step.input]
    weight: Any = step.weight
    inner = source.channels // step.geometry.groups
    negative = bits.filter_signs(made.tensors[weight.tensor], (*step.geometry.kernel, inner))
    filters = planes_of(weight.code, np.moveaxis(negative, 0, -2))
    inputs = planes_of(source.code or SIGN, bits.unpack_words(x, source.channels))
    f = made.tensors[weight.factors] if weight.factors else None
    g = made.tensors[step.input_factors] if step.input_factors else None
    total: Any = None
    for p, w in enumerate(filters):
        for q, a in enumerate(inputs):
            dot = dots(a, w, step.geometry, step.pad).astype(kind)
            t = kind(1) if f is None else f[p]
            t = t if g is None else np.multiply(t, g[q], dtype=kind)
            term = np.multiply(dot, t, dtype=kind)
            total = term if total is None else np.add(total, term, dtype=kind)
    return np.asarray(total)


def conv_of(made: Made) -> tuple[int, Conv]:
    for i, step in enumerate(made.program.steps):
        if isinstance(step, Conv) and step.layer == "conv":
            return i, step
    raise AssertionError("no convolution")


@pytest.mark.parametrize(("a", "w"), PAIRS, ids=str)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_reference_is_the_formula(geometry: str, a: AnyCode, w: AnyCode) -> None:
    for pad in (-1, 0, 1):
        made = single_conv(
            3, source=a, weight=w, geometry=GEOMETRIES[geometry], pad=pad, channels=36, outputs=6,
            size=(5, 6), results="f32", parts="",
        )  # fmt: skip
        check(header_of(made), made.tensors)
        engine = ReferenceEngine(made.program, made.tensors)
        values = engine.step(0, {0: random_input(made.program)}, 1)
        i, step = conv_of(made)
        found = engine.step(i, values, 1)[step.output or 0]
        assert np.array_equal(found, stated(made, step, values[step.input]))


def test_factors_are_multiplied_first_and_terms_added_in_order() -> None:
    """Numbers for which another order, or a fused product and sum, gives another float32."""
    made = single_conv(5, source=P3, weight=P3, channels=300, outputs=16, results="f32", parts="")
    i, step = conv_of(made)
    engine = ReferenceEngine(made.program, made.tensors)
    values = engine.step(0, {0: random_input(made.program)}, 1)
    wanted = stated(made, step, values[step.input])
    wide = stated(made, step, values[step.input], np.float64)
    assert np.array_equal(engine.step(i, values, 1)[step.output or 0], wanted)
    assert not np.array_equal(wanted, wide)


@pytest.mark.parametrize("code", [P1, P2, P3, P8], ids=str)
@pytest.mark.parametrize("flip", [False, True])
def test_each_plane_has_a_threshold_of_its_own(code: Planes, flip: bool) -> None:
    m = Maker(7)
    x = m.value("f32", 4, 5, 70)
    y = m.value("bits", 4, 5, 70, code)
    rule = m.thresholds("map", code, 70, 0.5, exact=False, flip=flip)
    m.steps.append(Map(layer="map", input=x, bits=y, thresholds=rule))
    made = m.done(m.head(None, y))
    given = random_input(made.program, special=True)
    found = ReferenceEngine(made.program, made.tensors).step(0, {0: given}, 1)[y]
    limits, falls = m.tensors[rule.tensor], m.tensors[rule.flip] if rule.flip else np.zeros(70, np.uint8)
    for p in range(code.count):
        with np.errstate(invalid="ignore"):
            failed = np.where(falls, given > limits[p], given < limits[p])
        assert np.array_equal(bits.unpack_words(found[..., p, :], 70), failed)


def test_whole_thresholds_of_planes() -> None:
    """A whole product may be cut into planes by int32 thresholds."""
    made = single_conv(2, code=P3, whole_thresholds=True, parts="", results="both", outputs=40)
    check(header_of(made), made.tensors)
    i, step = conv_of(made)
    engine = ReferenceEngine(made.program, made.tensors)
    values = engine.step(0, {0: random_input(made.program)}, 1)
    found = engine.step(i, values, 1)
    y, rule = found[step.output or 0], step.thresholds or Thresholds(tensor="none")
    falls = made.tensors[rule.flip or ""]
    for p, limit in enumerate(made.tensors[rule.tensor]):
        wanted = np.where(falls, y > limit, y < limit)
        assert np.array_equal(bits.unpack_words(found[step.bits or 0][..., p, :], 40), wanted)


def pooled(code: Planes, flip: bool) -> Made:
    m = Maker(9)
    x = m.binarize(m.value("f32", 6, 7, 45), code)
    geometry = Geometry(kernel=(3, 2), stride=(2, 2), padding=(1, 0))
    flips = m.tensor("flip", m.rng.integers(0, 2, 45), np.uint8) if flip else None
    y = m.value("bits", *output_size(geometry, 6, 7), 45, code)
    m.steps.append(Pool(layer="pool", input=x, output=y, kind="max", geometry=geometry, flip=flips))
    return m.done(m.head(None, y))


@pytest.mark.parametrize("flip", [False, True])
def test_planes_are_pooled_one_by_one(flip: bool) -> None:
    several = pooled(P3, flip)
    engine = ReferenceEngine(several.program, several.tensors)
    values = engine.step(0, {0: random_input(several.program)}, 1)
    found = engine.step(1, values, 1)[2]
    for p in range(3):
        one = pooled(P1, flip)
        alone = ReferenceEngine(one.program, several.tensors).step(1, {1: values[1][..., p : p + 1, :]}, 1)
        assert np.array_equal(found[..., p : p + 1, :], alone[2])


def test_real_inputs_meet_the_sum_of_planes() -> None:
    made = single_conv(4, source="f32", weight=P3, channels=9, outputs=6, results="f32", parts="")
    check(header_of(made), made.tensors)
    i, step = conv_of(made)
    weight: Any = step.weight
    signs = 1 - 2 * bits.filter_signs(made.tensors[weight.tensor], (3, 3, 9)).astype(np.float64)
    w = np.einsum("po,pohwi->ohwi", made.tensors[weight.factors].astype(np.float64), signs)
    x = random_input(made.program)
    found = ReferenceEngine(made.program, made.tensors).step(i, {0: x}, 1)[step.output or 0]
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    assert np.allclose(found, np.einsum("nhwcij,oijc->nhwo", windows, w), atol=1e-4)


def programs() -> dict[str, Made]:
    """Every pair of codes, and shapes at the edges of words, blocks and panels."""
    found = {}
    for i, (name, (a, w)) in enumerate(product(GEOMETRIES, PAIRS)):
        found[f"{name} {a} {w}"] = single_conv(
            i, source=a, weight=w, geometry=GEOMETRIES[name], pad=i % 3 - 1, channels=36, outputs=6,
            size=(5, 8), code=P2, parts="scale input_scale classes norm residual",
        )  # fmt: skip
    for channels in (1, 31, 32, 33, 64, 65, 260):
        found[f"channels {channels}"] = single_conv(source=P2, weight=P3, channels=channels, code=P3)
    for outputs in (1, 15, 16, 17, 63, 64, 65, 130, 300):
        arguments = {"outputs": outputs, "code": P1, "size": (9, 13)}
        found[f"outputs {outputs}"] = single_conv(source=P3, weight=P2, **arguments)  # type: ignore[arg-type]
    dense = {"size": (1, 1), "geometry": Geometry(kernel=(1, 1)), "channels": 5000, "outputs": 70}
    found["dense"] = single_conv(source=P2, weight=P3, **dense)  # type: ignore[arg-type]
    return found


def test_kernels_equal_the_reference(kernels: tuple[str, ...]) -> None:  # noqa: F811
    for name, made in programs().items():
        check(header_of(made), made.tensors)
        x = random_input(made.program, 3)
        reference = ReferenceEngine(made.program, made.tensors)
        values = {0: x}
        for i in range(len(made.program.steps)):
            values.update(reference.step(i, values, 1))
        wanted = reference.run(x, 1)
        for kernel in kernels:
            engine = selection.build(made.program, made.tensors, kernel)
            assert np.array_equal(engine.run(x, 1), wanted, equal_nan=True), (name, kernel)
            assert np.array_equal(engine.run(x, 3), wanted, equal_nan=True), (name, kernel)
            for i in range(len(made.program.steps)):
                for v, array in engine.step(i, values, 1).items():
                    assert np.array_equal(array, values[v], equal_nan=True), (name, kernel, i)


def banded() -> Made:
    """A convolution whose real map only a pooling reads: run band by band."""
    m = Maker(11)
    x = m.binarize(m.value("f32", 12, 9, 40), P3)
    y = m.value("f32", 12, 9, 24)
    weight = m.weight("conv", P2, 24, SAME, 40)
    step = Conv(
        layer="conv", input=x, output=y, weight=weight, geometry=SAME, epilogue=Epilogue(activation="relu"),
        input_factors=m.input_factors("conv", x),
    )  # fmt: skip
    half = Geometry(kernel=(2, 2), stride=(2, 2))
    z = m.value("f32", 6, 4, 24)
    m.steps += [step, Pool(layer="pool", input=y, output=z, kind="max", geometry=half)]
    return m.done(m.head(z, m.binarize(z, P2)))


def test_bands(kernels: tuple[str, ...]) -> None:  # noqa: F811
    made = banded()
    x = random_input(made.program, 5)
    wanted = ReferenceEngine(made.program, made.tensors).run(x, 1)
    for kernel in kernels:
        engine = selection.build(made.program, made.tensors, kernel)
        assert np.array_equal(engine.run(x, 1), wanted)
        assert np.array_equal(engine.run(x, 4), wanted)
