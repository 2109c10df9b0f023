"""Every bit tile counts what a matrix product of the same bits says, on any shape, wherever the taps lie."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "bnn_train" / "packed" / "csrc"
NATIVE = ROOT / "tests" / "native"
ARM = platform.machine() in {"aarch64", "arm64"}
UNTOUCHED = -7
TILES = ("portable", "avx2", "neon")
Words = npt.NDArray[np.uint32]


class Shape(ctypes.Structure):
    _fields_ = (
        ("taps", ctypes.c_int),
        ("words", ctypes.c_int),
        ("outputs", ctypes.c_int),
        ("tap_offset", ctypes.c_void_p),
    )


SIZE = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.POINTER(Shape))
PACK = ctypes.CFUNCTYPE(None, ctypes.POINTER(Shape), ctypes.c_void_p, ctypes.c_void_p)
RUN = ctypes.CFUNCTYPE(
    None,
    ctypes.POINTER(Shape),
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_void_p,
)


class Tile(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("packed_bytes", SIZE),
        ("pack", PACK),
        ("scratch_bytes", SIZE),
        ("run", RUN),
        ("preferred", ctypes.c_int),
    )


class Case(NamedTuple):
    """pixels: count × span words; offsets: the taps' first words; weights: outputs × taps × words."""

    pixels: Words
    offsets: npt.NDArray[np.int32]
    weights: Words

    def expected(self) -> npt.NDArray[np.int32]:
        """Different bits = (bits - product of the signs) / 2."""
        outputs, _, words = self.weights.shape
        taken = self.pixels[:, self.offsets[:, None] + np.arange(words)]
        x, w = signs(taken.reshape(len(taken), -1)), signs(self.weights.reshape(outputs, -1))
        different: npt.NDArray[np.int32] = ((x.shape[1] - x @ w.T) / 2).astype(np.int32)
        return different


def signs(words: Words) -> npt.NDArray[np.float32]:
    return np.float32(1) - 2 * np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1).astype(
        np.float32
    )


def build(target: Path, sources: list[Path], flags: list[str], compiler: str | None = None) -> Path:
    compiler = compiler or os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler here: the bit tiles cannot be built")
    command = [*compiler.split(), "-std=c++17", f"-I{CSRC}", *flags, *map(str, sources), "-o", str(target)]
    subprocess.run(command, check=True)
    return target


def source_and_flags(name: str) -> tuple[list[Path], list[str]]:
    """On other machines than Arm, NEON is what tests/native/neon says that it is."""
    stand_in = [f"-I{NATIVE / 'neon'}", "-D__aarch64__"] if name == "neon" and not ARM else []
    return [CSRC / f"bit_tile_{name}.cpp", NATIVE / "cpu.cpp"], stand_in


@pytest.fixture(scope="module", params=TILES)
def tile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tile:
    name: str = request.param
    sources, flags = source_and_flags(name)
    path = build(tmp_path_factory.mktemp(name) / "tile.so", sources, ["-O1", "-fPIC", "-shared", *flags])
    library = ctypes.CDLL(str(path))
    if name == "avx2" and not library.cpu_has_avx2():
        pytest.skip("this processor has no AVX2")
    return Tile.in_dll(library, f"_ZN3bnn{len('bit_tile_' + name)}bit_tile_{name}E")


def buffer(size: int) -> npt.NDArray[np.uint8]:
    """`size` bytes that begin at a multiple of 64."""
    raw = np.full(size + 64, 0xA5, dtype=np.uint8)
    return raw[-raw.ctypes.data % 64 :][:size]


def pops(tile: Tile, case: Case, slack: int) -> npt.NDArray[np.int32]:
    """The tile's products; each row is followed by `slack` numbers that the tile must leave alone."""
    outputs, taps, words = case.weights.shape
    shape = Shape(taps, words, outputs, case.offsets.ctypes.data)
    packed, scratch = buffer(tile.packed_bytes(shape)), buffer(tile.scratch_bytes(shape))
    tile.pack(shape, case.weights.ctypes.data, packed.ctypes.data)
    count, span = case.pixels.shape
    rows = case.pixels.ctypes.data + np.arange(count, dtype=np.uint64) * np.uint64(span * 4)
    result = np.full((count, outputs + slack), UNTOUCHED, dtype=np.int32)
    tile.run(
        shape,
        packed.ctypes.data,
        rows.ctypes.data,
        count,
        result.ctypes.data,
        outputs + slack,
        scratch.ctypes.data,
    )
    return result


def check(tile: Tile, case: Case, slack: int = 0) -> None:
    result, outputs = pops(tile, case, slack), len(case.weights)
    np.testing.assert_array_equal(result[:, :outputs], case.expected())
    assert (result[:, outputs:] == UNTOUCHED).all()


def random_words(rng: np.random.Generator, *size: int) -> Words:
    return rng.integers(0, 2**32, size, dtype=np.uint32)


def zeros_or_ones(rng: np.random.Generator, *size: int) -> Words:
    return (rng.integers(0, 2, size) * 0xFFFFFFFF).astype(np.uint32)


def case_of(
    rng: np.random.Generator, sizes: tuple[int, int, int, int], fill: Callable[..., Words] = random_words
) -> Case:
    taps, words, outputs, count = sizes
    span = taps * (words + 2)
    offsets = rng.integers(0, span - words + 1, taps).astype(np.int32)
    return Case(fill(rng, count, span), offsets, fill(rng, outputs, taps, words))


def any_sizes(rng: np.random.Generator, **most: int) -> tuple[int, int, int, int]:
    top: dict[str, Any] = {"taps": 25, "words": 32, "outputs": 130, "count": 70} | most
    taps, words, outputs, count = (int(rng.integers(1, top[k] + 1)) for k in top)
    return taps, words, outputs, count


@pytest.mark.parametrize("seed", range(24))
def test_random_shapes(tile: Tile, seed: int) -> None:
    rng = np.random.default_rng(seed)
    check(tile, case_of(rng, any_sizes(rng, words=4 if seed % 3 else 32)), slack=seed % 4)


@pytest.mark.parametrize("seed", range(6))
def test_many_pixels(tile: Tile, seed: int) -> None:
    rng = np.random.default_rng(seed)
    check(tile, case_of(rng, any_sizes(rng, taps=9, words=3, count=600)))


@pytest.mark.parametrize("outputs", [1, 31, 32, 33, 64, 65, 96, 127, 128, 130])
def test_each_count_of_pixels(tile: Tile, outputs: int) -> None:
    rng = np.random.default_rng(outputs)
    for count in range(1, 10):
        check(tile, case_of(rng, (3, 2, outputs, count)), slack=1)


@pytest.mark.parametrize("words", range(1, 33))
def test_each_count_of_words(tile: Tile, words: int) -> None:
    rng = np.random.default_rng(words)
    check(tile, case_of(rng, (int(rng.integers(1, 6)), words, 40, 8)))


@pytest.mark.parametrize("sizes", [(9, 32, 65, 66), (25, 32, 33, 3), (1, 300, 70, 5), (9, 300, 33, 7)])
def test_counts_as_high_as_they_can_be(tile: Tile, sizes: tuple[int, int, int, int]) -> None:
    check(tile, case_of(np.random.default_rng(0), sizes, zeros_or_ones))


def test_more_bits_than_sixteen_can_count(tile: Tile) -> None:
    rng = np.random.default_rng(1)
    check(tile, case_of(rng, (25, 300, 33, 5), zeros_or_ones))
    check(tile, case_of(rng, (7, 300, 5, 3)), slack=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", TILES)
def test_no_word_outside_is_touched(name: str, tmp_path: Path) -> None:
    sources, flags = source_and_flags(name)
    checks = [
        "-O1",
        "-g",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        f"-DTILE=bnn::bit_tile_{name}",
    ]
    program = build(tmp_path / "check", [*sources, NATIVE / "check_bit_tile.cpp"], [*checks, *flags])
    subprocess.run([str(program), "200", "1"], check=True)


@pytest.mark.slow
def test_neon_itself(tmp_path: Path) -> None:
    compiler = shutil.which("aarch64-linux-gnu-g++")
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if compiler is None or emulator is None:
        pytest.skip("no cross compiler and emulator for Arm here")
    sources = [CSRC / "bit_tile_neon.cpp", NATIVE / "check_bit_tile.cpp"]
    program = build(tmp_path / "check", sources, ["-O3", "-static", "-DTILE=bnn::bit_tile_neon"], compiler)
    subprocess.run([emulator, str(program), "100"], check=True)
