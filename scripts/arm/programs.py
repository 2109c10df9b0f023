"""The grid of packed programs with the reference's values, in a file that C++ reads without Python."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.engine import reads, writes
from bnn_train.packed.native_abi import CStep, CTensor, CValue, Flat
from bounds import on_a_grid
from packed_grid import grid
from packed_programs import Made, random_input
from unit.test_native_grid import IMAGES, SPECIAL, order_free, values_of

Array = NDArray[Any]


class Case(NamedTuple):
    """A program and the images that it meets."""

    name: str
    made: Made
    images: Array


def cases() -> Iterator[Case]:
    """As ``test_native_grid`` has them: every program, and some on −0.0, NaN, ∞ and tiny numbers."""
    for name, made in grid():
        x = random_input(made.program, IMAGES, seed=3)
        yield Case(name, made, x) if made.exact else Case(name, order_free(made), on_a_grid(x))
        if name.startswith(SPECIAL):
            special = random_input(made.program, IMAGES, seed=4, special=True)
            yield Case(f"{name} on special numbers", made, special)


def write(path: Path, chosen: Iterable[Case]) -> int:
    """The cases into ``path``, whose numbers are little-endian int64; returns how many."""
    parts = [_case(case) for case in chosen]
    sizes = ctypes.sizeof(CValue), ctypes.sizeof(CStep), len(parts)
    path.write_bytes(b"".join([*map(_number, sizes), *parts]))
    return len(parts)


def _case(case: Case) -> bytes:
    program = case.made.program
    values = values_of(case.made, case.images)
    owner = Flat(program, case.made.tensors)  # of the memory that its structures point into
    flat = owner.program
    steps, places, tensors = _steps(flat.steps[: flat.step_count])
    touched = [list(side(step)) for step in program.steps for side in (reads, writes)]
    numbers = np.array([n for side in touched for n in (len(side), *side)], "<i8")
    arrays = (_array(np.ascontiguousarray(values[v]).tobytes()) for v in range(len(program.values)))
    parts = (
        _array(case.name.encode()),
        _number(program.output),
        _number(len(case.images)),
        _array(b"".join(map(bytes, flat.values[: flat.value_count]))),
        _array(steps),
        _array(np.array(places, "<i8").tobytes()),
        _array(tensors),
        _array(numbers.tobytes()),
    )
    return b"".join([*parts, *arrays])


def _steps(steps: list[CStep]) -> tuple[bytes, list[int], bytes]:
    """The structures with empty pointers; pairs of a pointer's place and its tensor's; the tensors."""
    found, places, tensors = b"", [], b""
    for step in steps:
        for at, tensor in _tensors(step, len(found)):
            if tensor.data:
                places += [at, len(tensors)]
                tensors += _padded(ctypes.string_at(tensor.data, tensor.bytes))
                tensor.data = None
        found += bytes(step)
    return found, places, tensors


def _tensors(structure: ctypes.Structure, at: int) -> Iterator[tuple[int, CTensor]]:
    """Those of a structure that begins at byte ``at``, and where."""
    for name, kind, *_ in structure._fields_:
        member, place = getattr(structure, name), at + getattr(type(structure), name).offset
        if isinstance(member, CTensor):
            yield place, member
        elif issubclass(kind, ctypes.Structure):
            yield from _tensors(member, place)


def _number(n: int) -> bytes:
    return n.to_bytes(8, "little", signed=True)


def _array(content: bytes) -> bytes:
    return _number(len(content)) + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 8)
