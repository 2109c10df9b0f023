"""The interface of an engine, numpy reference or native, and the values that steps read and write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.program import Concat, Conv, Map, Program, Step, Value

Array = NDArray[Any]


class Engine(Protocol):
    """A program with its tensors, ready to run."""

    @property
    def name(self) -> str:
        """``reference`` or the instruction set."""

    @property
    def image_bytes(self) -> int:
        """Memory that each image of one call takes, beside its pixels and logits."""

    def run(self, x: Array, threads: int) -> NDArray[np.float32]:
        """Value 0 in the plain layout, N ≥ 1 images, to logits N×classes."""

    def step(self, i: int, inputs: Mapping[int, Array], threads: int) -> dict[int, Array]:
        """Step ``i`` alone: the values it writes, in the plain layout, from those it reads."""

    def profile(self, x: Array, repeats: int) -> NDArray[np.float64]:
        """Seconds of every step for N images at once on one thread: the least of ``repeats`` calls."""


def reads(step: Step) -> tuple[int, ...]:
    """The values that a step reads, without repetition, the main input first."""
    found = [step.input]
    if isinstance(step, Conv | Map):
        e = step.epilogue
        found += [i for i in (e.input_scale, e.gate, e.residual) if i is not None]
    if isinstance(step, Concat):
        found.append(step.second)
    return tuple(dict.fromkeys(found))


def writes(step: Step) -> tuple[int, ...]:
    """The values that a step writes."""
    if isinstance(step, Conv | Map):
        return tuple(i for i in (step.output, step.bits) if i is not None)
    return (step.output,)


def last_reads(program: Program) -> dict[int, int]:
    """The last step that reads each value; the program's output is needed after the end."""
    last = {i: at for at, step in enumerate(program.steps) for i in reads(step)}
    return {**last, program.output: len(program.steps)}


def value_shape(value: Value) -> tuple[int, ...]:
    """The shape of one image's value: H×W×C, or H×W×P×⌈C/32⌉ for ``bits``."""
    if value.code is None:
        return value.height, value.width, value.channels
    return value.height, value.width, value.code.planes, -(-value.channels // 32)


DTYPES: dict[str, Any] = {"u8": np.uint8, "f32": np.float32, "bits": np.uint32}
"""The element of a value's array."""


def value_bytes(value: Value) -> int:
    """Bytes of one image's value."""
    count = 1
    for size in value_shape(value):
        count *= size
    return count * int(np.dtype(DTYPES[value.type]).itemsize)
