"""The compiled engine around its kernels: which one runs, chunks and threads, chains of steps, bad input."""

from __future__ import annotations

import ctypes
import gc
import re
import shutil
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bnn_train.errors import BnnError
from bnn_train.packed import PackedModel, build, native, native_abi, native_library
from bnn_train.packed import kernels as selection
from bnn_train.packed.errors import NativeUnavailable
from bnn_train.packed.native_abi import Flat
from bnn_train.packed.program import Conv, Epilogue, Geometry, Map, Pool
from bnn_train.packed.reference import engine as reference
from bnn_train.packed.shapes import border_classes
from native_kernels import kernels  # noqa: F401  # a fixture
from packed_programs import SIGN, Made, Maker, header_of, random_input, single_conv

pytestmark = pytest.mark.usefixtures("kernels")
Array = NDArray[Any]
SAME = Geometry(kernel=(3, 3), padding=(1, 1))


def stem(seed: int = 0, kind: str = "max", size: tuple[int, int] = (21, 18)) -> Made:
    """Pixels, a convolution whose real map only a pooling reads, and the signs of what that leaves."""
    m = Maker(seed)
    x = m.value("u8", *size, 3)
    big = m.value("f32", *size, 20)
    weight = m.weight("stem", "int2", 20, SAME, 3)
    *_, rows, columns = border_classes(SAME, *size)
    scale = Epilogue(scale=m.reals("stem.scale", 20, scale=1e-4), bias=m.reals("bias", rows * columns, 20))
    m.steps.append(_conv(x, big, weight, scale))
    pool = Geometry(kernel=(3, 3), stride=(2, 2), padding=(1, 1))
    height, width = (size[0] + 1) // 2, (size[1] + 1) // 2
    small = m.value("f32", height, width, 20)
    which: Any = kind
    m.steps.append(Pool(layer="pool", input=big, output=small, geometry=pool, kind=which))
    signs = m.value("bits", height, width, 20, SIGN)
    rule = m.thresholds("signs", SIGN, 20, 1.0, exact=False, flip=True)
    m.steps.append(Map(layer="signs", input=small, bits=signs, thresholds=rule))
    return m.done(m.head(small, signs))


def _conv(x: int, y: int, weight: Any, epilogue: Epilogue) -> Any:
    return Conv(layer="stem", input=x, output=y, weight=weight, geometry=SAME, epilogue=epilogue)


def logits(made: Made, x: Array) -> Array:
    return reference.build(made.program, made.tensors).run(x, 1)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("size", [(21, 18), (1, 5), (4, 4), (40, 3)])
def test_chains_equal_their_steps(kind: str, size: tuple[int, int]) -> None:
    made = stem(kind=kind, size=size)
    x = random_input(made.program, 5)
    for isa in native.available():
        engine = native.build(made.program, made.tensors, isa)
        for threads in (1, 2, 3):
            assert np.array_equal(engine.run(x, threads), logits(made, x)), (isa, threads)


@pytest.mark.parametrize("count", [1, 2, 3, 31, 33, 129, 300])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_images_on_any_number_of_threads(count: int, threads: int) -> None:
    made = single_conv(channels=40, outputs=70, size=(3, 4), whole_thresholds=True, parts="")
    x = random_input(made.program, count)
    engine = native.build(made.program, made.tensors, native.available()[0])
    assert np.array_equal(engine.run(x, threads), logits(made, x))


def test_a_small_call_after_a_large_one_and_back() -> None:
    made = stem()
    engine = native.build(made.program, made.tensors, native.available()[0])
    for count in (2, 40, 1, 90, 3):
        x = random_input(made.program, count, seed=count)
        assert np.array_equal(engine.run(x, 1), logits(made, x))


def test_arrays_of_any_layout() -> None:
    made = single_conv(channels=32, outputs=16)
    x = random_input(made.program, 4)
    engine = native.build(made.program, made.tensors, native.available()[0])
    wanted = engine.run(x, 1)
    turned = np.asfortranarray(x)
    room = np.empty(x.nbytes + 4, np.uint8)[4:].view(np.float32).reshape(x.shape)
    room[:] = x
    assert not turned.flags.c_contiguous
    assert room.ctypes.data % 64 != x.ctypes.data % 64 or room.ctypes.data % 16 != 0
    for other in (turned, room, x[::-1][::-1]):
        assert np.array_equal(engine.run(other, 1), wanted)
    assert np.array_equal(x, random_input(made.program, 4))


def test_calls_from_several_threads_take_turns() -> None:
    made = stem()
    engine = native.build(made.program, made.tensors, native.available()[0])
    images = [random_input(made.program, 3, seed=s) for s in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: engine.run(x, 1), images))
    assert all(np.array_equal(y, logits(made, x)) for x, y in zip(images, found, strict=True))


def test_a_model_outlives_its_arrays() -> None:
    made = stem()
    x = random_input(made.program, 2)
    wanted = logits(made, x)
    engine = native.build(made.program, {name: t.copy() for name, t in made.tensors.items()}, "portable")
    gc.collect()
    assert np.array_equal(engine.run(x, 1), wanted)


def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in selection.VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("isa", ["avx512", "avx2", "portable"])
@pytest.mark.parametrize("variable", selection.VARIABLES)
def test_the_variable_forces_an_isa(isa: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if isa not in native.available():
        pytest.skip(f"no {isa} here")
    made = stem()
    unset(monkeypatch)
    monkeypatch.setenv(variable, isa)
    assert PackedModel.from_parts(header_of(made), made.tensors).isa == isa
    assert PackedModel.from_parts(header_of(made), made.tensors, isa="reference").isa == "reference"


def test_the_best_isa_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    made = stem()
    unset(monkeypatch)
    assert PackedModel.from_parts(header_of(made), made.tensors).isa == native.available()[0]


def test_without_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(native_library, "FOLDER", tmp_path)
    monkeypatch.setattr(selection, "_told", [])
    unset(monkeypatch)
    native_library.library.cache_clear()
    made = stem()
    try:
        assert native.available() == ()
        with pytest.raises(NativeUnavailable, match=r"python -m bnn_train.packed.build"):
            native.build(made.program, made.tensors, "portable")
        models = [PackedModel.from_parts(header_of(made), made.tensors) for _ in range(2)]
    finally:
        native_library.library.cache_clear()
    assert [model.isa for model in models] == ["reference", "reference"]
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"no library"])
def test_a_damaged_library(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / native_library.FILE
    path.write_bytes(content)
    with pytest.raises(
        NativeUnavailable, match=f"^the compiled kernels in {re.escape(path.name)} cannot be used"
    ):
        native_library.Library(path)


def test_a_library_of_other_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    class Longer(native_abi.CStep):
        _fields_ = (("more", ctypes.c_int64),)

    monkeypatch.setattr(native_abi, "CStep", Longer)
    with pytest.raises(NativeUnavailable, match="other sources"):
        native_library.Library(native_library.FOLDER / native_library.FILE)


def test_an_isa_of_another_processor() -> None:
    made = stem()
    missing = next(isa for isa in native_abi.ISAS if isa not in native.available())
    with pytest.raises(NativeUnavailable, match=missing):
        native.build(made.program, made.tensors, missing)


def broken(made: Made, **fields: Any) -> Flat:
    """The program with its first step's fields overwritten."""
    flat = Flat(made.program, made.tensors)
    for name, value in fields.items():
        setattr(flat.program.steps[0], name, value)
    return flat


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"op": 9}, "step 0 has an unknown operation"),
        ({"input": 99}, "step 0 names a value"),
        ({"output": -1}, "step 0 names a value"),
        ({"residual": 4096}, "step 0 names a value"),
        ({"stride": (ctypes.c_int64 * 2)(0, 1)}, "step 0 has no possible window"),
        ({"kernel": (ctypes.c_int64 * 2)(5, 3)}, "output of another size"),
        ({"padding": (ctypes.c_int64 * 2)(2**23, 2**23)}, "output of another size"),
        ({"dilation": (ctypes.c_int64 * 2)(2**24, 1)}, "window that does not fit"),
        ({"weight": native_abi.CTensor(1, 12)}, "weight has 12 bytes, not"),
        ({"weight_kind": 2}, "real weights for bytes"),
        ({"activation": native_abi.CBend(kind=7)}, "unknown activation"),
        ({"stream": native_abi.CBend(kind=4)}, "no slope below 0"),
        ({"gate": 0}, "shapes do not agree"),
        ({"gate": 4096}, "step 0 names a value"),
        ({"second": 4096}, "step 0 names a value"),
        ({"groups": 2}, "groups that do not divide"),
        ({"scale": native_abi.CTensor(None, 0), "bias": native_abi.CTensor(1, 12)}, "bias has 12 bytes"),
    ],
)
def test_a_bad_descriptor_gets_a_sentence(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BnnError, match=words):
        native_library.library().create(broken(stem(), **fields), "portable")


def test_impossible_values_get_a_sentence() -> None:
    for field, value in (("height", 0), ("channels", -1), ("type", 7), ("width", 2**40)):
        flat = Flat(stem().program, stem().tensors)
        setattr(flat.program.values[1], field, value)
        with pytest.raises(BnnError, match="value 1 "):
            native_library.library().create(flat, "portable")


def test_a_map_that_offsets_cannot_reach_gets_a_sentence() -> None:
    m = Maker(0)
    x, y, z = m.value("f32", 6, 6, 4), m.value("f32", 6, 6, 4), m.value("f32", 6, 6, 4)
    m.steps.append(Map(layer="map", input=x, output=y))
    m.steps.append(_conv(y, z, m.weight("conv", "f32", 4, SAME, 4), Epilogue()))
    flat = Flat(*m.done(m.head(z, None))[:2])
    for value in flat.program.values[:3]:
        value.height = value.width = 11_000
    with pytest.raises(BnnError, match="more than 2 GiB"):
        native_library.library().create(flat, "portable")


def test_a_value_of_another_shape() -> None:
    made = stem()
    engine = native.build(made.program, made.tensors, "portable")
    with pytest.raises(ValueError, match="value 0 is uint8"):
        engine.run(np.zeros((1, 2, 2, 3), np.uint8), 1)


def test_each_step_is_timed() -> None:
    made = stem()
    engine = native.build(made.program, made.tensors, "portable")
    seconds = engine.profile(random_input(made.program, 3), 2)
    assert seconds.shape == (len(made.program.steps),)
    assert seconds[0] > 0
    assert (seconds >= 0).all()


def test_the_build_needs_a_compiler(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert build.main() == 2
    assert capsys.readouterr().err.startswith("error: no C++ compiler")


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(BnnError, match="failed: broken"):
        build.compile_library(tmp_path / "library.so")
    assert not (tmp_path / "library.so").exists()


def test_the_package_declares_every_source() -> None:
    root = Path(__file__).resolve().parents[2]
    tools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    (module,) = tools["ext-modules"]
    assert sorted(module["sources"]) == sorted(str(p.relative_to(root)) for p in build.SOURCES.glob("*.cpp"))
    assert set(build.FLAGS) - {"-fPIC"} == set(module["extra-compile-args"])
