"""Signs and whole-number codes to bits and back, in numpy. A set bit is the sign −1, so that unused bits,
always 0, cancel in a XOR of two operands.

Two layouts: *words*, uint32 …×P×⌈C/32⌉ with channel c at bit c mod 32 of word c // 32, for values; *rows*,
uint8 P×O×⌈n/8⌉ with the n bits of a filter in the order (row, column, input channel), lowest bit first, for
weights in the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import BnnError
from bnn_train.packed.operands import SIGN, Code

Array = NDArray[Any]
WORD = 32


def word_count(channels: int) -> int:
    """⌈channels / 32⌉."""
    return -(-channels // WORD)


def pack_words(negative: Array) -> NDArray[np.uint32]:
    """Truth values …×C (true: the sign −1) to words …×⌈C/32⌉; tails 0."""
    packed = np.packbits(np.asarray(negative, dtype=np.bool_), axis=-1, bitorder="little")
    missing = 4 * word_count(negative.shape[-1]) - packed.shape[-1]
    if missing:
        packed = np.concatenate([packed, np.zeros((*packed.shape[:-1], missing), np.uint8)], axis=-1)
    return np.ascontiguousarray(packed).view("<u4").astype(np.uint32, copy=False)


def unpack_words(words: Array, channels: int) -> NDArray[np.bool_]:
    """The inverse of ``pack_words``: true where a channel's sign is −1."""
    octets = np.ascontiguousarray(words).astype("<u4", copy=False).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=channels, bitorder="little").view(np.bool_)


def code_numbers(code: Code) -> NDArray[np.int32]:
    """The number of each of the 2^P digit patterns: element q has +v_p where binary digit p of q is 1, −v_p
    where 0."""
    patterns = np.arange(2**code.planes)[:, None] >> np.arange(code.planes) & 1
    sums = code.offset + (2 * patterns - 1) @ np.array(code.values)
    return np.asarray(sums // code.denominator, dtype=np.int32)


def digits(numbers: Array, planes: int) -> NDArray[np.bool_]:
    """Pattern numbers …×C (0 … 2^P − 1) to the planes' truth values …×P×C: true, the sign −1, where the digit
    is 0."""
    shifted = np.asarray(numbers)[..., None, :] >> np.arange(planes)[:, None]
    return np.asarray((shifted & 1) == 0)


def patterns(values: Array, code: Code) -> NDArray[np.int32]:
    """The smallest pattern number for each code value. Raises BnnError for a value that the code does not
    have."""
    known, first = np.unique(code_numbers(code), return_index=True)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    if not np.array_equal(known[at], values):
        raise BnnError(
            f"codes to pack: they hold values other than {', '.join(map(str, known))}; quantize them first"
        )
    return first[at].astype(np.int32)


def encode(values: Array, code: Code = SIGN) -> NDArray[np.uint32]:
    """Code values …×C as words …×P×⌈C/32⌉."""
    return pack_words(digits(patterns(values, code), code.planes))


def decode(words: Array, channels: int, code: Code = SIGN) -> NDArray[np.int32]:
    """Words …×P×⌈C/32⌉ to code values …×C."""
    return combine(unpack_words(words, channels), code)


def combine(negative: Array, code: Code) -> NDArray[np.int32]:
    """Truth values of the planes …×P×C (true: the sign −1) to code values …×C."""
    signs = 1 - 2 * negative.astype(np.int32)
    sums = code.offset + np.einsum("...pc,p->...c", signs, np.array(code.values, dtype=np.int32))
    return np.asarray(sums // code.denominator, dtype=np.int32)


def pack_filters(values: Array, code: Code = SIGN) -> NDArray[np.uint8]:
    """Weight codes O×Kh×Kw×I to the file's rows, uint8 P×O×⌈Kh·Kw·I/8⌉."""
    flat = digits(patterns(values.reshape(len(values), -1), code), code.planes)
    return pack_planes(np.moveaxis(flat, -2, 0))


def pack_planes(negative: Array) -> NDArray[np.uint8]:
    """Truth values of a filter's planes P×O×… (true: the sign −1) to the file's rows, uint8 P×O×⌈n/8⌉."""
    flat = np.asarray(negative, dtype=np.bool_).reshape(*negative.shape[:2], -1)
    return np.ascontiguousarray(np.packbits(flat, axis=-1, bitorder="little"))


def filter_signs(rows: Array, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """The file's rows as truth values P×O×Kh×Kw×I, for ``shape`` (Kh, Kw, I); true: the sign −1."""
    flat = np.unpackbits(rows, axis=-1, count=shape[0] * shape[1] * shape[2], bitorder="little")
    return flat.view(np.bool_).reshape(*rows.shape[:2], *shape)


def filter_words(rows: Array, shape: tuple[int, int, int]) -> NDArray[np.uint32]:
    """The file's rows with every tap's channels in words of their own: uint32 P×O×Kh×Kw×⌈I/32⌉."""
    return pack_words(filter_signs(rows, shape))


def filter_codes(rows: Array, shape: tuple[int, int, int], code: Code = SIGN) -> NDArray[np.int32]:
    """The file's rows as weight codes O×Kh×Kw×I."""
    signs = filter_signs(rows, shape)
    planes = np.moveaxis(signs.reshape(*signs.shape[:2], -1), 0, -2)
    return combine(planes, code).reshape(signs.shape[1:])


def popcount(x: Array) -> Array:
    """The number of set bits of each uint64."""
    if hasattr(np, "bitwise_count"):  # numpy 2
        return np.asarray(np.bitwise_count(x))
    return _popcount_by_sums(x)


def _popcount_by_sums(x: NDArray[np.uint64]) -> Array:
    """Sums of neighbouring bits, pairs, nibbles and bytes, side by side (Warren, Hacker's Delight, 5-1)."""
    one, two, four, top = np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(56)
    pairs, nibbles = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
    octets, ones = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)
    x = x - ((x >> one) & pairs)
    x = (x & nibbles) + ((x >> two) & nibbles)
    x = (x + (x >> four)) & octets
    return ((x * ones) >> top).astype(np.uint8)
