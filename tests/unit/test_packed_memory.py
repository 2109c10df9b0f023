"""The memory limit of a packed model bounds all that it takes, whatever the engine, images and threads."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from bnn_train.packed import PackedModel, contents, native
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.facts import Fact
from bnn_train.packed.memory import memory, padded_bytes
from bnn_train.packed.program import Conv, Geometry, Mean, Program, RealWeight, Value
from bnn_train.packed.reference import engine as reference
from bnn_train.packed.reference.memory import image_bytes, weight_bytes
from native_kernels import kernels as kernels
from packed_grid import grid
from packed_programs import Made, header_of, random_input, single_conv

GRID = dict(grid())
SOME = sorted(GRID)[::23]


def test_a_map_counts_with_its_border_and_in_whole_vectors() -> None:
    conv = Conv(
        layer="c",
        input=0,
        output=1,
        weight=RealWeight(kind="f32", tensor="w"),
        geometry=Geometry(kernel=(5, 3), padding=(2, 1), stride=(2, 1)),
    )
    values = (
        Value(type="f32", height=6, width=4, channels=3),
        Value(type="f32", height=3, width=4, channels=17),
        Value(type="f32", height=1, width=1, channels=17),
    )
    program = Program(values=values, steps=(conv, Mean(layer="m", input=1, output=2)), output=2)
    # Three windows begin at rows −2, 0, 2 and end at row 6, one beyond the map; input pixels stay 3 floats.
    first = -(-(2 + 6 + 1) * (1 + 4 + 1) * 3 * 4 // 64) * 64
    second = 3 * 4 * 32 * 4
    assert padded_bytes(program) == [first, second, 32 * 4]
    assert memory(program) == first + second


def least_limit(made: Made, isa: str) -> int:
    """The smallest limit under which the kernels take a program, by bisection."""
    low, high = 0, 2**30
    while high - low > 64:
        middle = (low + high) // 2
        try:
            native.build(made.program, made.tensors, isa, middle)
            high = middle
        except PackedFileError:
            low = middle
    return high


@pytest.mark.parametrize("name", SOME)
def test_kernels_stay_within_their_limit(name: str, kernels: tuple[str, ...]) -> None:
    made = GRID[name]
    x = random_input(made.program, 40)
    truth = native.build(made.program, made.tensors, kernels[0]).run(x, 1)
    for isa in kernels:
        limit = least_limit(made, isa)
        with pytest.raises(PackedFileError, match=r"bytes where \d+ are left of a limit of"):
            native.build(made.program, made.tensors, isa, limit - 128)
        for room in (limit, 2 * limit, 10 * limit):
            for threads in (1, 3):
                engine = native.build(made.program, made.tensors, isa, room)
                found = engine.run(x, threads)
                assert engine.peak <= room
                assert np.array_equal(engine.run(x[:1], 1), found[:1], equal_nan=True)
                assert engine.peak <= room
                if isa == kernels[0]:
                    assert np.array_equal(found, truth, equal_nan=True)


@pytest.mark.parametrize("name", SOME)
def test_the_reference_takes_no_more_than_it_says(name: str) -> None:
    made = GRID[name]
    engine = reference.build(made.program, made.tensors)
    x = random_input(made.program, 8)
    engine.run(x, 1)  # what is imported or cached once
    tracemalloc.start()
    try:
        engine.run(x, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    small = 64 * 1024  # Python's own objects
    assert peak <= 8 * image_bytes(made.program) + weight_bytes(made.program) + small


@pytest.mark.parametrize("kernel", ["reference", *native.available()])
@pytest.mark.parametrize("factor", [1, 3])
def test_a_model_gives_the_same_answers_however_little_it_may_take(kernel: str, factor: int) -> None:
    made = single_conv(size=(16, 16), channels=20, outputs=24, results="f32")
    header, x = header_of(made), np.random.default_rng(0).integers(0, 256, (9, 16, 16, 20), dtype=np.uint8)
    truth = PackedModel.from_parts(header, made.tensors, isa=kernel)(x)
    low, high = 0, 2**28
    while high - low > 1024:
        middle = (low + high) // 2
        try:
            PackedModel.from_parts(header, made.tensors, isa=kernel, memory_limit=middle)
            high = middle
        except PackedFileError:
            low = middle
    model = PackedModel.from_parts(header, made.tensors, isa=kernel, memory_limit=high * factor)
    assert np.allclose(model(x), truth, rtol=1e-6, atol=1e-6)
    with pytest.raises(PackedFileError, match=r"limit"):
        PackedModel.from_parts(header, made.tensors, isa=kernel, memory_limit=low)


def test_a_tensor_that_many_steps_share_is_not_unpacked_for_nothing() -> None:
    """Its weights are made anew for each step, and counted each time."""
    made = single_conv(size=(4, 4), channels=64, outputs=64, parts="", results="f32")
    conv = next(step for step in made.program.steps if isinstance(step, Conv))
    one = native.build(made.program, made.tensors, "portable").peak
    again = conv.model_copy(update={"output": len(made.program.values)})
    values = (*made.program.values, made.program.values[conv.output or 0])
    steps = list(made.program.steps)
    steps.insert(steps.index(conv) + 1, again)
    twice = made.program.model_copy(update={"values": values, "steps": tuple(steps)})
    assert native.build(twice, made.tensors, "portable").peak > one + 64 * 64 * 9 // 8


@pytest.mark.parametrize(
    ("dtype", "shape"), [("i1", (3, 150_000, 1, 1, 1)), ("f4", (400_000, 1)), ("u2", (400_000, 1))]
)
def test_looking_at_a_tensor_takes_little_beside_it(dtype: str, shape: tuple[int, ...]) -> None:
    """The checks come before the memory of a file is known to fit in its limit."""
    fact = Fact(np.ones(shape, dtype))
    tracemalloc.start()
    try:
        assert fact.wrong(contents.reals) is None
        assert fact.extremes == (1, 1)
        if dtype == "i1":
            assert fact.digit_sum == 1 + 256 + 256**2
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20
