"""Planes that are the binary digits of a level's number: thresholds and products of the reference against
the formula, every kernel against the reference, and what a file may not hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bnn_train.packed import bits, container
from bnn_train.packed import kernels as selection
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import Geometry, Map, Planes, Pool, Program
from bnn_train.packed.reference.engine import ReferenceEngine
from bnn_train.packed.shapes import output_size
from bnn_train.packed.validate import check
from native_kernels import kernels  # noqa: F401  # a fixture
from packed_damage import file_of, plain, put
from packed_programs import Made, Maker, header_of, random_input, single_conv

Array = NDArray[Any]
CODES = {count: Planes(count=count, digits=True) for count in (2, 3, 8)}


def mapped(code: Planes, flip: bool, *, sort: bool = True) -> Made:
    m = Maker(7)
    x = m.value("f32", 4, 5, 70)
    y = m.value("bits", 4, 5, 70, code)
    rule = m.thresholds("map", code, 70, 0.5, exact=False, flip=flip)
    if sort:
        m.tensors[rule.tensor].sort(axis=0)
    m.steps.append(Map(layer="map", input=x, bits=y, thresholds=rule))
    return m.done(m.head(None, y))


@pytest.mark.parametrize("count", CODES)
@pytest.mark.parametrize("flip", [False, True])
def test_planes_write_the_count_of_thresholds_passed(count: int, flip: bool) -> None:
    made = mapped(CODES[count], flip)
    check(header_of(made), made.tensors)
    given = random_input(made.program, special=True)
    found = ReferenceEngine(made.program, made.tensors).step(0, {0: given}, 1)[1]
    falls = made.tensors["map.flip"] if flip else np.zeros(70, np.uint8)
    with np.errstate(invalid="ignore"):
        passed = sum(~np.where(falls, given > t, given < t) for t in made.tensors["map.t"])
    for p in range(count):
        assert np.array_equal(~bits.unpack_words(found[..., p, :], 70).astype(bool), (passed >> p & 1) == 1)


def test_two_signs_of_residuals_are_digits() -> None:
    """s₁ = sign(x), s₂ = sign(x − v₁·s₁): thresholds −v₁, 0, v₁; the low digit is s₂."""
    v1 = np.float32(0.75)
    x = np.array([-2, -0.75, -0.5, -0.0, 0.0, 0.5, 0.75, np.nan, 2], np.float32)
    first = np.where(x < 0, -1, 1).astype(np.float32)
    second = np.where(x - v1 * first < 0, -1, 1)
    passed = sum(~(x < t) for t in (-v1, np.float32(0), v1))
    assert np.array_equal(np.where(passed >> 1 & 1, 1, -1), first)
    assert np.array_equal(np.where(passed & 1, 1, -1), second)


def test_kernels_equal_the_reference(kernels: tuple[str, ...]) -> None:  # noqa: F811
    programs = [
        mapped(code, flip, sort=sort)
        for code in CODES.values()
        for flip, sort in ((True, False), (False, True))
    ]
    for code in (CODES[2], CODES[3]):
        common: dict[str, Any] = {"source": code, "code": code, "channels": 40, "outputs": 70}
        programs.append(single_conv(3, weight=Planes(count=2), **common))
        programs.append(single_conv(4, code=code, outputs=33, whole_thresholds=True, parts=""))
    for made in programs:
        check(header_of(made), made.tensors)
        x = random_input(made.program, 3)
        wanted = ReferenceEngine(made.program, made.tensors).run(x, 1)
        for kernel in kernels:
            found = selection.build(made.program, made.tensors, kernel).run(x, 1)
            assert np.array_equal(found, wanted, equal_nan=True), kernel


def test_a_file_has_them_and_stays_as_it_was_without() -> None:
    made = mapped(CODES[2], False)
    content = container.pack(header_of(made), made.tensors)
    header, tensors = container.unpack(content)
    assert header.version == 2
    assert header.program.values[1].code == CODES[2]
    assert container.pack(header, tensors) == content
    assert "digits" not in str(plain(header_of(single_conv(source=Planes(count=2)))))


def refused(made: Made, match: str) -> None:
    with pytest.raises(PackedFileError, match=match):
        check(header_of(made), made.tensors)


def test_digits_of_one_plane_are_a_threshold() -> None:
    raw = put(plain(header_of(mapped(Planes(count=1), False))), "program.values.1.code.digits", True)
    with pytest.raises(PackedFileError, match="the digit of one plane is its threshold; leave digits out"):
        container.unpack(file_of(raw, mapped(Planes(count=1), False).tensors, 2))


def test_weights_have_no_digits() -> None:
    refused(single_conv(weight=CODES[2]), "digits of no thresholds; leave digits out")


def test_they_have_as_many_thresholds_as_a_code() -> None:
    made = mapped(CODES[3], False)
    made.tensors["map.t"] = np.ascontiguousarray(made.tensors["map.t"][:3])
    refused(made, "tensor map.t is float32 3×70; it must be float32 7×70")


def pooled(code: Planes) -> Made:
    m = Maker(9)
    x = m.binarize(m.value("f32", 6, 7, 45), code)
    geometry = Geometry(kernel=(2, 2), stride=(2, 2))
    y = m.value("bits", *output_size(geometry, 6, 7), 45, code)
    m.steps.append(Pool(layer="pool", input=x, output=y, kind="max", geometry=geometry))
    return m.done(m.head(None, y))


def test_they_are_not_pooled(kernels: tuple[str, ...]) -> None:  # noqa: F811
    """The largest number is not the largest of each digit; the kernels say so too."""
    made = pooled(CODES[2])
    refused(made, "bits of a code or of digits are pooled with one plane only")
    for kernel in kernels:
        with pytest.raises(PackedFileError, match="digits"):
            _build(made.program, made.tensors, kernel)


def _build(program: Program, tensors: dict[str, Array], kernel: str) -> None:
    selection.build(program, tensors, kernel)
