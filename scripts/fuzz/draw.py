"""Random choices for programs: sizes, codes and tensors, mostly ordinary and now and then extreme."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.program import Code, Planes

T = TypeVar("T")
Array = NDArray[Any]

CHANNELS = (1, 2, 3, 4, 7, 16, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 1000)
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 33, 64, 65, 97, 255)
CODES = (
    Code(),
    Code(offset=0, values=(1, 1), denominator=2),
    Code(offset=1, values=(1,), denominator=2),
    Code(offset=3, values=(1, 2), denominator=2),
    Code(offset=0, values=(1, 2)),
    Code(offset=7, values=(1, 2, 4), denominator=2),
    Code(offset=255, values=(1, 2, 4, 8, 16, 32, 64, 128), denominator=2),
)
_ODD = np.array(
    [0.0, -0.0, 1.0, -1.0, 1e30, -1e30, 1e-30, 1e-45, -1e-45, 1.17549435e-38, 2.0**-126, 0.5, 8388608.5],
    np.float32,
)
_LARGEST = np.float32(3.4028235e38)


class Draw:
    """A stream of choices that a seed determines."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one(self, options: Sequence[T]) -> T:
        """One of some options."""
        return options[int(self.random.random() * len(options))]

    def often(self, share: float) -> bool:
        """True with this probability."""
        return self.random.random() < share

    def below(self, count: int) -> int:
        """A whole number from 0 to ``count`` − 1."""
        return int(self.random.random() * count)

    def up_to(self, most: int) -> int:
        """A whole number from 1 to ``most``, small ones more often."""
        return min(most, int(math.exp(self.random.random() * math.log(most + 1))))

    def channels(self, most: int) -> int:
        """Channels, mostly beside the edge of a word or a block."""
        count = self.one(CHANNELS) if self.often(0.8) else self.up_to(most)
        return count if count <= most else self.up_to(most)

    def size(self, most: int) -> int:
        """Rows or columns of a map."""
        size = self.one(SIZES) if self.often(0.8) else self.up_to(most)
        return size if size <= most else self.up_to(most)

    def code(self) -> Code:
        """Ordinary codes, and now and then one of arbitrary whole numbers."""
        if self.often(0.85):
            return self.one(CODES)
        denominator = self.one((1, 1, 2, 3, 5, 7, 64, 255, 256))
        unit = denominator // 2 if denominator % 2 == 0 else denominator
        most = 2**15 // unit
        values = tuple(unit * self.up_to(most) for _ in range(1 + self.below(8)))
        if self.often(0.1):
            values = (unit * most,) * len(values)
        offset = -sum(values) % denominator + denominator * (self.below(9) - 4)
        if self.often(0.1):
            offset += 2**16 // denominator * denominator
        return Code(offset=max(-(2**16), min(2**16, offset)), values=values, denominator=denominator)

    def any_code(self) -> Code | Planes:
        """A code, and now and then planes of real factors."""
        return Planes(count=1 + self.below(self.one((3, 3, 8)))) if self.often(0.25) else self.code()

    def value_code(self) -> Code | Planes:
        """A code of a value: planes may be digits of a level's number."""
        code = self.any_code()
        digits = isinstance(code, Planes) and code.count > 1 and self.often(0.4)
        return Planes(count=code.planes, digits=True) if digits else code

    def octets(self, *shape: int) -> NDArray[np.uint8]:
        """Random bytes; now and then all alike."""
        count = math.prod(shape)
        if self.often(0.05):
            return np.full(shape, self.one((0, 1, 127, 128, 255)), np.uint8)
        return np.frombuffer(self.random.randbytes(count), np.uint8).reshape(shape)

    def bit_rows(self, used: int, *shape: int) -> NDArray[np.uint8]:
        """Random bits …×⌈used/8⌉, those behind the last one 0."""
        rows = self.octets(*shape, -(-used // 8)).copy()
        if used % 8:
            rows[..., -1] &= (1 << used % 8) - 1
        return rows

    def flags(self, count: int) -> NDArray[np.uint8]:
        """Zeros and ones."""
        return np.asarray(self.octets(count) & 1, np.uint8)

    def reals(self, *shape: int, scale: float = 1.0) -> NDArray[np.float32]:
        """Numbers of ordinary size; now and then −0.0, tiny and huge ones among them."""
        count = math.prod(shape)
        raw = np.frombuffer(self.random.randbytes(2 * count), np.int16)
        numbers = raw.astype(np.float32) * np.float32(scale / 8192)
        if self.often(0.12):
            odd = _ODD[raw % len(_ODD)]
            numbers = odd if self.often(0.3) else np.where(raw % 5 == 0, odd, numbers)
        return numbers.reshape(shape)

    def positive(self, *shape: int) -> NDArray[np.float32]:
        """Numbers above 0."""
        return np.maximum(np.abs(self.reals(*shape)), np.float32(1e-3))

    def real_limits(self, *shape: int) -> NDArray[np.float32]:
        """Thresholds of real numbers; now and then the largest there are."""
        limits = self.reals(*shape, scale=2.0)
        if self.often(0.1):
            limits = np.where(limits < 0, -_LARGEST, _LARGEST)
        return limits

    def whole_limits(self, bound: int, *shape: int) -> NDArray[np.int32]:
        """Thresholds of whole numbers up to ``bound``, among them those that always or never pass."""
        most = min(bound + 1, 2**31 - 1)
        unit = np.frombuffer(self.random.randbytes(4 * math.prod(shape)), np.int32).astype(np.float64)
        spread = most if self.often(0.3) else min(most, max(1, int(most**0.5)))
        limits = np.rint(unit / 2**31 * spread).astype(np.int64)
        if self.often(0.2):
            limits = np.where(limits < 0, -most, most)
        return np.clip(limits, -most, most).astype(np.int32).reshape(shape)
