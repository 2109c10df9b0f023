"""Draws are a fixed function of seed, epoch, sample and number."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bnn_train.data.randomness import permutation, splitmix64, stream_seed, uniform


def test_splitmix64_against_the_published_sequence() -> None:
    # The first outputs for seed 1234567, as its reference implementation gives them.
    assert splitmix64(1234567, np.arange(5)).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def mixed(state: int) -> int:
    """splitmix64's output function in Python's unbounded integers."""
    mask = 2**64 - 1
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    return state ^ (state >> 31)


def test_uniform_by_hand() -> None:
    key = int.from_bytes(hashlib.sha256(b"int:5\0int:2\0str:draw\0int:3").digest()[:8], "big")
    expected = [(mixed((key + (i + 1) * 0x9E3779B97F4A7C15) % 2**64) >> 11) / 2**53 for i in (0, 7, 10**9)]
    assert uniform(5, 2, [0, 7, 10**9], 3).tolist() == expected


def test_uniform_does_not_depend_on_the_batch() -> None:
    ids = np.array([9, 4, 100, 4])
    whole = uniform(1, 2, ids, 3)
    assert whole.tolist() == [uniform(1, 2, [int(i)], 3)[0] for i in ids]
    assert whole[1] == whole[3]


def test_uniform_is_uniform() -> None:
    n = 100_000
    x = uniform(1, 0, np.arange(n), 0)
    assert x.min() >= 0
    assert x.max() < 1
    counts = np.histogram(x, bins=100, range=(0, 1))[0]
    assert ((counts - n / 100) ** 2 / (n / 100)).sum() < 150  # χ², 99 degrees: above 149 once in a thousand
    assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 0.015


@pytest.mark.parametrize("other", [(2, 0, 0), (1, 1, 0), (1, 0, 1)])
def test_streams_are_unrelated(other: tuple[int, int, int]) -> None:
    ids = np.arange(10_000)
    seed, epoch, draw = other
    assert abs(np.corrcoef(uniform(1, 0, ids, 0), uniform(seed, epoch, ids, draw))[0, 1]) < 0.04


def test_permutation_holds_each_once_and_is_no_order() -> None:
    order = permutation(1, 0, 1000)
    assert sorted(order.tolist()) == list(range(1000))
    assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.12
    assert (order != permutation(1, 1, 1000)).mean() > 0.98
    assert (order != permutation(2, 0, 1000)).mean() > 0.98


def test_permutation_is_fixed() -> None:
    key = int.from_bytes(hashlib.sha256(b"int:1\0int:0\0str:order").digest()[:8], "big")
    bits = [mixed((key + (i + 1) * 0x9E3779B97F4A7C15) % 2**64) for i in range(50)]
    assert permutation(1, 0, 50).tolist() == sorted(range(50), key=bits.__getitem__)


def test_permutation_of_nothing() -> None:
    assert permutation(1, 0, 0).tolist() == []


def test_stream_seed() -> None:
    digest = hashlib.sha256(b"int:7\0str:step\0int:12").digest()
    assert stream_seed(7, "step", 12) == int.from_bytes(digest[:8], "big") >> 1
    assert stream_seed("1") != stream_seed(1)
    assert stream_seed("ab", "c") != stream_seed("a", "bc")
    assert stream_seed(2**63 - 1, "init") < 2**63
