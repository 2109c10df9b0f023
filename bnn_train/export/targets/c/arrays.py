"""Arrays of numbers as C text, each content once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import bits

Array = NDArray[Any]
_TYPES: dict[str, Any] = {
    "uint8_t": np.uint8,
    "uint16_t": np.uint16,
    "uint32_t": np.uint32,
    "int8_t": np.int8,
    "int16_t": np.int16,
    "int32_t": np.int32,
    "int64_t": np.int64,
    "float": np.float32,
}
_WIDTH = 108


def real(number: float) -> str:
    """A float32 as C spells it; nine digits name each one."""
    text = f"{np.float32(number):.9g}"
    return (text if any(c in text for c in ".en") else f"{text}.0") + "f"


def _hexadecimal(digits: int) -> Callable[[Any], str]:
    return lambda number: f"0x{int(number):0{digits}x}"


_SPELL: dict[str, Callable[[Any], str]] = {
    "uint8_t": _hexadecimal(2),
    "uint32_t": _hexadecimal(8),
    "float": real,
}


def least_type(low: int, high: int) -> str:
    """The smallest signed type that holds both."""
    for name in ("int8_t", "int16_t", "int32_t"):
        if np.iinfo(_TYPES[name]).min <= low and high <= np.iinfo(_TYPES[name]).max:
            return name
    return "int64_t"


def flags(truths: Array) -> NDArray[np.uint32]:
    """One bit for each channel, in words."""
    return bits.pack_words(truths.astype(np.bool_))


class Arrays:
    """The constants of a network, by name."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, bytes], str] = {}
        self._texts: list[str] = []
        self.sizes: dict[str, int] = {}
        """Bytes by what they are for."""

    def add(self, name: str, kind: str, array: Array, use: str, alias: str | None = None) -> str:
        """The name of an array of C's type ``kind`` with these numbers, which the text calls ``alias``."""
        flat = np.ascontiguousarray(array, dtype=_TYPES[kind]).reshape(-1)
        key = (alias or kind, flat.tobytes())
        if key not in self._found:
            self._found[key] = name
            self._texts.append(definition(name, kind, flat, alias))
            self.sizes[use] = self.sizes.get(use, 0) + flat.nbytes
        return self._found[key]

    @property
    def text(self) -> str:
        """All definitions."""
        return "\n".join(self._texts)


def definition(name: str, kind: str, flat: Array, alias: str | None = None) -> str:
    """An array's definition."""
    return f"BNN_CONST {alias or kind} {name}[{len(flat)}] = {{\n" + "\n".join(lines(flat, kind)) + "\n};\n"


def lines(flat: Array, kind: str) -> Iterator[str]:
    """The numbers, comma behind each, in lines of a readable width."""
    spell, line = _SPELL.get(kind, lambda number: str(int(number))), "   "
    for number in flat:
        word = f" {spell(number)},"
        if len(line) + len(word) > _WIDTH:
            yield line
            line = "   "
        line += word
    yield line
