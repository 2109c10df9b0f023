"""Every compiled kernel equals the numpy reference on the whole grid of programs."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bnn_train.packed import native
from bnn_train.packed.engine import Engine
from bnn_train.packed.reference import engine as reference
from bounds import on_a_grid
from native_kernels import kernels  # noqa: F401  # a fixture
from packed_grid import grid
from packed_programs import Made, random_input

Array = NDArray[Any]
ARM = platform.machine() in {"aarch64", "arm64"}
ISAS = ("neon", "portable") if ARM else ("avx512", "avx2", "portable")
IMAGES = 3
CASES = dict(grid())
SPECIAL = (
    "channels-33",
    "to-u2",
    "epilogue-norm",
    "residual-net",
    "pool-max-3",
    "real-int1",
    "activation",
    "planes-p",
    "bend",
    "gate",
    "joined",
)


def equal(found: Array, wanted: Array) -> bool:
    """Bit for bit, but for the sign of zero."""
    nan = found.dtype == np.float32
    return found.dtype == wanted.dtype and np.array_equal(found, wanted, equal_nan=nan)


def order_free(made: Made) -> Made:
    """With real weights on a grid: on inputs that lie there too, float32 adds them exactly in any order."""
    own = {
        step.weight.tensor for step in made.program.steps if step.op == "conv" and step.weight.kind == "f32"
    }
    upper = {
        step.weight.tensor for step in made.program.steps if step.op == "conv" and step.weight.kind == "bf16"
    }
    own |= {name for name in made.tensors if name.endswith(".f")}  # factors of planes
    changed = {name: on_a_grid(made.tensors[name]) for name in own}
    for name in upper:
        reals = (made.tensors[name].astype(np.uint32) << 16).view(np.float32)
        changed[name] = (on_a_grid(reals).view(np.uint32) >> 16).astype(np.uint16)
    return made._replace(tensors={**made.tensors, **changed})


def check_steps(engine: Engine, made: Made, values: dict[int, Array]) -> None:
    """Each step alone, from the reference's own values."""
    for i, step in enumerate(made.program.steps):
        for v, found in engine.step(i, values, 1).items():
            assert equal(found, values[v]), f"{step.op} {step.layer}, value {v}"


def values_of(made: Made, x: Array) -> dict[int, Array]:
    """Every value of the program as the reference computes it."""
    truth = reference.build(made.program, made.tensors)
    values: dict[int, Array] = {0: x}
    for i in range(len(made.program.steps)):
        values.update(truth.step(i, values, 1))
    return values


def check_from(made: Made, isa: str, values: dict[int, Array]) -> None:
    """One kernel's steps and runs against the program's values."""
    engine = native.build(made.program, made.tensors, isa)
    assert engine.name == isa
    check_steps(engine, made, values)
    x = values[0]
    wanted = values[made.program.output].reshape(len(x), -1)
    for n, threads in ((1, 1), (len(x), 1), (1, 2), (len(x), 2)):
        assert equal(engine.run(x[:n], threads), wanted[:n]), f"{n} images, {threads} threads"


def check(made: Made, isa: str, x: Array) -> None:
    check_from(made, isa, values_of(made, x))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", CASES)
def test_equals_the_reference(name: str, isa: str, kernels: tuple[str, ...]) -> None:  # noqa: F811
    if isa not in kernels:
        pytest.skip(f"no {isa} here")
    made = CASES[name]
    x = random_input(made.program, IMAGES, seed=3)
    check(*((made, isa, x) if made.exact else (order_free(made), isa, on_a_grid(x))))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", [name for name in CASES if name.startswith(SPECIAL)])
def test_special_numbers(name: str, isa: str, kernels: tuple[str, ...]) -> None:  # noqa: F811
    """−0.0, NaN, ∞ and tiny numbers among the pixels."""
    if isa not in kernels:
        pytest.skip(f"no {isa} here")
    check(CASES[name], isa, random_input(CASES[name].program, IMAGES, seed=4, special=True))
