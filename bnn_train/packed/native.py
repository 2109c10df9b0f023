"""The engine that runs a program in the compiled kernels."""

from __future__ import annotations

import weakref
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import engine
from bnn_train.packed.engine import Array
from bnn_train.packed.errors import NativeUnavailable
from bnn_train.packed.limits import work
from bnn_train.packed.native_abi import Flat, Tensors, pointers
from bnn_train.packed.native_library import Library, library
from bnn_train.packed.program import Program

__all__ = ["NativeEngine", "NativeUnavailable", "available", "build"]


_LONG = 2**34
"""Products of a call, from a tenth of a second on, that run where Ctrl-C is heard."""


class NativeEngine:
    """A program with its weights in the kernels' own order. Calls from several threads take turns."""

    image_bytes = 0
    """Memory that one more image of a call takes: none; the kernels run as many at once as fit."""

    def __init__(
        self,
        kernels: Library,
        program: Program,
        tensors: Tensors,
        isa: str,
        memory_limit: int | None,
    ) -> None:
        self.name = isa
        self.program = program
        self._kernels = kernels
        self._work = work(program)
        self._handle = kernels.create(Flat(program, tensors), isa, memory_limit)
        weakref.finalize(self, kernels.destroy, self._handle)

    @property
    def peak(self) -> int:
        """The most bytes that the prepared program has taken so far, its work space included."""
        return self._kernels.peak(self._handle)

    def run(self, x: Array, threads: int) -> NDArray[np.float32]:
        """Value 0 in the plain layout, N ≥ 1 images, to logits N×classes."""
        x = self._checked(0, x)
        logits = np.empty((len(x), self.program.values[self.program.output].channels), np.float32)
        long = self._work * len(x) > _LONG
        self._kernels.run(self._handle, x.ctypes.data, len(x), logits.ctypes.data, threads, long)
        return logits

    def step(self, i: int, inputs: Mapping[int, Array], threads: int) -> dict[int, Array]:
        """Step ``i`` alone, on one thread: the values it writes, in the plain layout, from those it reads."""
        step = self.program.steps[i]
        given = {v: self._checked(v, inputs[v]) for v in engine.reads(step)}
        n = len(given[step.input])
        found = {v: self._empty(v, n) for v in engine.writes(step)}
        count = len(self.program.values)
        self._kernels.step(self._handle, i, (pointers(count, given), pointers(count, found)), n)
        return found

    def profile(self, x: Array, repeats: int) -> NDArray[np.float64]:
        """Seconds of every step for N images at once on one thread: the least of ``repeats`` calls."""
        x = self._checked(0, x)
        found = np.zeros(len(self.program.steps), np.int64)
        self._kernels.profile(self._handle, x.ctypes.data, len(x), repeats, found.ctypes.data)
        return found / 1e9

    def _empty(self, v: int, n: int) -> Array:
        value = self.program.values[v]
        return np.empty((n, *engine.value_shape(value)), engine.DTYPES[value.type])

    def _checked(self, v: int, x: Array) -> Array:
        """C-contiguous, of value v's type and shape."""
        value = self.program.values[v]
        shape, dtype = engine.value_shape(value), np.dtype(engine.DTYPES[value.type])
        if x.shape[1:] != shape or x.dtype != dtype or len(x) < 1:
            raise ValueError(f"value {v} is {dtype} N×{shape}, not {x.dtype} {x.shape}")
        return np.ascontiguousarray(x)


def available() -> tuple[str, ...]:
    """The kernels that this processor and this build can run, best first; empty without a library."""
    try:
        return library().isas()
    except NativeUnavailable:
        return ()


def build(program: Program, tensors: Tensors, isa: str, memory_limit: int | None = None) -> NativeEngine:
    """The engine of a checked program on one instruction set, whose memory beside the tensors stays within
    the limit. Raises NativeUnavailable, or PackedFileError where one image does not fit."""
    kernels = library()
    if isa not in kernels.isas():
        raise NativeUnavailable(
            f"this processor or this build has no {isa} kernels; it has {', '.join(kernels.isas())}"
        )
    return NativeEngine(kernels, program, tensors, isa, memory_limit)
