"""Finds the compiled kernels and opens them."""

from __future__ import annotations

import ctypes
import sysconfig
from functools import cache
from pathlib import Path

from bnn_train.errors import BnnError
from bnn_train.packed import native_abi as abi
from bnn_train.packed.errors import NativeUnavailable, PackedFileError
from bnn_train.packed.interruptible import interruptible

FOLDER = Path(__file__).parent
FILE = f"_kernels{sysconfig.get_config_var('EXT_SUFFIX') or '.so'}"
"""The name that setuptools gives an extension module; ``build`` uses the same."""
_NO_LIMIT = 2**63 - 1
_LONG = 2**20
"""Bytes of weights whose preparation may take long enough for somebody to lose patience."""


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
        c.bnn_create.argtypes = (ctypes.POINTER(abi.CProgram), ctypes.c_int, number, pointer, *message)
        c.bnn_peak.argtypes = (pointer,)
        c.bnn_peak.restype = number
        c.bnn_destroy.argtypes = (pointer,)
        c.bnn_destroy.restype = None
        c.bnn_run.argtypes = (pointer, pointer, number, pointer, ctypes.c_int, pointer, *message)
        c.bnn_profile.argtypes = (pointer, pointer, number, number, pointer, *message)
        product = ctypes.POINTER(abi.CSignProduct)
        c.bnn_sign_input_gradient.argtypes = (product, ctypes.c_int, *[pointer] * 4, ctypes.c_int, *message)
        c.bnn_sign_weight_gradient.argtypes = (product, ctypes.c_int, *[pointer] * 3, ctypes.c_int, *message)
        c.bnn_signs.argtypes = (ctypes.c_int, pointer, number, pointer, ctypes.c_int, *message)
        real = ctypes.c_float
        c.bnn_window.argtypes = (
            *(ctypes.c_int, pointer, pointer, number),
            *(real, real, pointer, ctypes.c_int, *message),
        )
        c.bnn_step.argtypes = (pointer, number, pointer, pointer, number, *message)
        numbers = ctypes.POINTER(ctypes.c_int32)
        c.bnn_crop.argtypes = (pointer,) * 6
        c.bnn_crop.restype = None
        c.bnn_resample.argtypes = (pointer, number, numbers, numbers, numbers, ctypes.c_int, pointer)

    def isas(self) -> tuple[str, ...]:
        """The instruction sets that this processor and this build can run, best first."""
        found = int(self._c.bnn_isas())
        return tuple(name for i, name in enumerate(abi.ISAS) if found >> i & 1)

    def create(self, flat: abi.Flat, isa: str, memory_limit: int | None = None) -> int:
        """A model's handle; the model will never take more than so many bytes. Raises PackedFileError with
        the library's reason."""
        message, stop = ctypes.create_string_buffer(256), ctypes.c_int32(0)
        limit = _NO_LIMIT if memory_limit is None else max(0, min(memory_limit, _NO_LIMIT))

        def work() -> int | None:
            program, number = ctypes.byref(flat.program), abi.ISAS.index(isa)
            found = self._c.bnn_create(program, number, limit, ctypes.byref(stop), message, len(message))
            return None if found is None else int(found)

        def abandon(handle: int | None) -> None:
            if handle is not None:
                self.destroy(handle)

        if flat.bytes < _LONG:
            handle = work()
        else:
            handle = interruptible(work, lambda: setattr(stop, "value", 1), abandon)
        if handle is None:
            raise PackedFileError(f"the {isa} kernels refuse the program: {message.value.decode()}")
        return handle

    def peak(self, handle: int) -> int:
        """The most bytes that a model has taken so far."""
        return int(self._c.bnn_peak(handle))

    def destroy(self, handle: int) -> None:
        """Free a model."""
        self._c.bnn_destroy(handle)

    def run(self, handle: int, x: int, n: int, y: int, threads: int, long: bool = False) -> None:
        """n images at address ``x`` to logits at ``y``. ``long``: so much work that it must hear Ctrl-C."""
        message, stop = ctypes.create_string_buffer(256), ctypes.c_int32(0)

        def work() -> int:
            asked = ctypes.byref(stop) if long else None
            return int(self._c.bnn_run(handle, x, n, y, threads, asked, message, len(message)))

        code = interruptible(work, lambda: setattr(stop, "value", 1)) if long else work()
        self._check(code, message.value)

    def step(
        self,
        handle: int,
        i: int,
        arrays: tuple[ctypes.Array[ctypes.c_void_p], ctypes.Array[ctypes.c_void_p]],
        n: int,
    ) -> None:
        """Step ``i`` from the values of the first array of pointers to those of the second."""
        message = ctypes.create_string_buffer(256)
        self._check(self._c.bnn_step(handle, i, *arrays, n, message, len(message)), message.value)

    def profile(self, handle: int, x: int, n: int, repeats: int, nanoseconds: int) -> None:
        """The least time of every step, as int64 at address ``nanoseconds``."""
        message = ctypes.create_string_buffer(256)
        code = self._c.bnn_profile(handle, x, n, repeats, nanoseconds, message, len(message))
        self._check(code, message.value)

    def sign_input_gradient(
        self, product: abi.CSignProduct, isa: str, given: tuple[int, int, int | None], out: int, threads: int
    ) -> None:
        """From g, codes and factors (or None) at the addresses ``given`` to floats at ``out``."""
        message, number = ctypes.create_string_buffer(256), abi.ISAS.index(isa)
        work = self._c.bnn_sign_input_gradient
        self._check(work(product, number, *given, out, threads, message, len(message)), message.value)

    def sign_weight_gradient(
        self, product: abi.CSignProduct, isa: str, given: tuple[int, int], out: int, threads: int
    ) -> None:
        """From g and x at the addresses ``given`` to floats at ``out``."""
        message, number = ctypes.create_string_buffer(256), abi.ISAS.index(isa)
        work = self._c.bnn_sign_weight_gradient
        self._check(work(product, number, *given, out, threads, message, len(message)), message.value)

    def signs(self, isa: str, x: int, count: int, out: int, threads: int) -> None:
        """The signs of ``count`` floats at address ``x``, as floats at ``out``."""
        message, number = ctypes.create_string_buffer(256), abi.ISAS.index(isa)
        self._check(self._c.bnn_signs(number, x, count, out, threads, message, len(message)), message.value)

    def window(
        self,
        isa: str,
        given: tuple[int, int],
        count: int,
        bounds: tuple[float, float],
        out: int,
        threads: int,
    ) -> None:
        """Of ``count`` floats g and x at addresses ``given``: g where x lies between the bounds, else 0."""
        message, number = ctypes.create_string_buffer(256), abi.ISAS.index(isa)
        work = self._c.bnn_window
        code = work(number, *given, count, *bounds, out, threads, message, len(message))
        self._check(code, message.value)

    def crop(self, images: int, shape: tuple[int, ...], drawn: tuple[int, int, int], out: int) -> None:
        """Bytes N×H×W×C at address ``images`` moved by the numbers at ``drawn``: tops, lefts, flips."""
        sizes = (ctypes.c_int64 * 4)(*shape)
        self._c.bnn_crop(images, ctypes.addressof(sizes), *drawn, out)

    def resample(
        self,
        pixels: int,
        stride: int,
        shape: tuple[int, int, int],
        size: tuple[int, int],
        window: tuple[int, int, int, int],
        flipped: bool,
        to: int,
    ) -> None:
        """The picture H×W×C at address ``pixels``, rows ``stride`` bytes apart, resized to ``size``; of that
        the window (top, left, height, width), ``flipped`` left to right or not, to address ``to``."""
        numbers = ((ctypes.c_int32 * len(given))(*given) for given in (shape, size, window))
        if self._c.bnn_resample(pixels, stride, *numbers, flipped, to):
            raise MemoryError

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
