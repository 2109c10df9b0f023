"""Bits and codes against their layout written out."""

from __future__ import annotations

import numpy as np
import pytest

from bnn_train.errors import BnnError
from bnn_train.packed import bits
from bnn_train.packed.program import Code
from packed_programs import SIGN, SYMMETRIC_2, TERNARY, UNSIGNED_1, UNSIGNED_2, UNSIGNED_3

RNG = np.random.default_rng(0)
CODES = (SIGN, TERNARY, UNSIGNED_1, UNSIGNED_2, UNSIGNED_3, SYMMETRIC_2)


@pytest.mark.parametrize("channels", [1, 5, 8, 31, 32, 33, 64, 70])
def test_words(channels: int) -> None:
    negative = RNG.random((2, 3, channels)) < 0.5
    words = bits.pack_words(negative)
    assert words.shape == (2, 3, (channels + 31) // 32)
    assert words.dtype == np.uint32
    for at in np.ndindex(2, 3):
        for word, value in enumerate(words[at].tolist()):
            own = negative[at][word * 32 : word * 32 + 32]
            assert value == sum(2**i for i, bit in enumerate(own) if bit)
    assert np.array_equal(bits.unpack_words(words, channels), negative)


def test_the_numbers_of_codes() -> None:
    assert bits.code_numbers(SIGN).tolist() == [-1, 1]
    assert bits.code_numbers(TERNARY).tolist() == [-1, 0, 0, 1]
    assert bits.code_numbers(UNSIGNED_2).tolist() == [0, 1, 2, 3]
    assert bits.code_numbers(UNSIGNED_3).tolist() == list(range(8))
    assert bits.code_numbers(SYMMETRIC_2).tolist() == [-3, -1, 1, 3]
    assert bits.code_numbers(Code(offset=-4, values=(2, 6), denominator=4)).tolist() == [-3, -2, 0, 1]


@pytest.mark.parametrize("code", CODES)
def test_codes_go_to_bits_and_back(code: Code) -> None:
    values = RNG.choice(bits.code_numbers(code), (2, 3, 4, 35))
    words = bits.encode(values, code)
    assert words.shape == (2, 3, 4, len(code.values), 2)
    assert np.array_equal(bits.decode(words, 35, code), values)
    # and by the definition: (offset + Σ v·s) / denominator
    signs = 1 - 2 * bits.unpack_words(words, 35).astype(int)
    total = code.offset + sum(v * signs[..., p, :] for p, v in enumerate(code.values))
    assert np.array_equal(total / code.denominator, values)


def test_a_value_that_no_code_has() -> None:
    for values in ([2], [0], [-3]):
        with pytest.raises(BnnError, match="other than -1, 1"):
            bits.encode(np.array(values))


@pytest.mark.parametrize("code", CODES)
def test_filters(code: Code) -> None:
    codes = RNG.choice(bits.code_numbers(code), (4, 2, 3, 5))
    rows = bits.pack_filters(codes, code)
    assert rows.shape == (len(code.values), 4, 4)  # 30 bits
    assert rows.dtype == np.uint8
    assert not (rows[..., 3] >> 6).any()
    assert np.array_equal(bits.filter_codes(rows, (2, 3, 5), code), codes)
    signs = bits.filter_signs(rows, (2, 3, 5))
    for p, o, row, column, i in [(0, 0, 0, 0, 0), (0, 3, 1, 2, 4), (0, 2, 0, 1, 3)]:
        n = (row * 3 + column) * 5 + i
        assert signs[p, o, row, column, i] == bool(rows[p, o, n // 8] >> (n % 8) & 1)
    words = bits.filter_words(rows, (2, 3, 5))
    assert np.array_equal(bits.unpack_words(words, 5), signs)


def test_popcount() -> None:
    x = RNG.integers(0, 2**64, 1000, dtype=np.uint64)
    x[:3] = 0, 2**64 - 1, 2**63
    truth = [v.bit_count() for v in x.tolist()]
    assert bits.popcount(x).tolist() == truth
    assert bits._popcount_by_sums(x).tolist() == truth
