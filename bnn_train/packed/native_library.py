"""Finds the compiled kernels and opens them."""

from __future__ import annotations

import ctypes
import sysconfig
from functools import cache
from pathlib import Path

from bnn_train.errors import BnnError
from bnn_train.packed import native_abi as abi
from bnn_train.packed.errors import NativeUnavailable

FOLDER = Path(__file__).parent
FILE = f"_kernels{sysconfig.get_config_var('EXT_SUFFIX') or '.so'}"
"""The name that setuptools gives an extension module; ``build`` uses the same."""


class Library:
    """The functions of ``csrc/abi.h``."""

    def __init__(self, path: Path) -> None:
        try:
            self._c = ctypes.CDLL(str(path))
            self._declare()
        except (OSError, AttributeError) as error:
            raise NativeUnavailable(
                f"the compiled kernels in {path.name} cannot be used ({error}); build them anew"
            ) from error

    def _declare(self) -> None:
        c, pointer, number = self._c, ctypes.c_void_p, ctypes.c_int64
        value, step = number(), number()
        c.bnn_sizes(ctypes.byref(value), ctypes.byref(step))
        if (value.value, step.value) != (ctypes.sizeof(abi.CValue), ctypes.sizeof(abi.CStep)):
            raise OSError("they were built from other sources")
        message = (ctypes.c_char_p, number)
        c.bnn_create.restype = pointer
        c.bnn_create.argtypes = (ctypes.POINTER(abi.CProgram), ctypes.c_int, *message)
        c.bnn_destroy.argtypes = (pointer,)
        c.bnn_destroy.restype = None
        c.bnn_run.argtypes = (pointer, pointer, number, pointer, ctypes.c_int, *message)
        c.bnn_profile.argtypes = (pointer, pointer, number, number, pointer, *message)
        c.bnn_step.argtypes = (pointer, number, pointer, pointer, number, ctypes.c_int, *message)

    def isas(self) -> tuple[str, ...]:
        """The instruction sets that this processor and this build can run, best first."""
        found = int(self._c.bnn_isas())
        return tuple(name for i, name in enumerate(abi.ISAS) if found >> i & 1)

    def create(self, flat: abi.Flat, isa: str) -> int:
        """A model's handle. Raises BnnError with the library's reason."""
        message = ctypes.create_string_buffer(256)
        handle = self._c.bnn_create(ctypes.byref(flat.program), abi.ISAS.index(isa), message, len(message))
        if not handle:
            raise BnnError(f"the {isa} kernels refuse the program: {message.value.decode()}")
        return int(handle)

    def destroy(self, handle: int) -> None:
        """Free a model."""
        self._c.bnn_destroy(handle)

    def run(self, handle: int, x: int, n: int, y: int, threads: int) -> None:
        """n images at address ``x`` to logits at ``y``."""
        message = ctypes.create_string_buffer(256)
        self._check(self._c.bnn_run(handle, x, n, y, threads, message, len(message)), message.value)

    def step(
        self,
        handle: int,
        i: int,
        arrays: tuple[ctypes.Array[ctypes.c_void_p], ctypes.Array[ctypes.c_void_p]],
        n: int,
        threads: int,
    ) -> None:
        """Step ``i`` from the values of the first array of pointers to those of the second."""
        message = ctypes.create_string_buffer(256)
        self._check(self._c.bnn_step(handle, i, *arrays, n, threads, message, len(message)), message.value)

    def profile(self, handle: int, x: int, n: int, repeats: int, nanoseconds: int) -> None:
        """The least time of every step, as int64 at address ``nanoseconds``."""
        message = ctypes.create_string_buffer(256)
        code = self._c.bnn_profile(handle, x, n, repeats, nanoseconds, message, len(message))
        self._check(code, message.value)

    def _check(self, code: int, message: bytes) -> None:
        if code:
            raise BnnError(f"the kernels failed: {message.decode()}")


@cache
def library() -> Library:
    """The library beside this file. Raises NativeUnavailable."""
    path = FOLDER / FILE
    if not path.exists():
        raise NativeUnavailable(
            "the compiled kernels are missing; python -m bnn_train.packed.build makes them"
        )
    return Library(path)
