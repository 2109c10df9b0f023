"""Randomness as a function of (seed, epoch, sample, draw), never a state.

A draw depends on nothing else: not on the batch it falls in, the process that makes it, or what was
drawn before. The numbers are splitmix64's (Steele, Lea and Flood, OOPSLA 2014), so that they are the
same on every machine and with every version of numpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

_CLASS, _MEMBER = -1, -2
"""Draws of the order; those of a sample are numbered from 0."""

Ids = NDArray[np.int64]


def _digest(parts: tuple[int | str, ...], bits: int) -> int:
    text = "\0".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - bits)


def stream_seed(*parts: int | str) -> int:
    """A seed for ``torch.manual_seed``: 63 bits of the SHA-256 of ``parts``."""
    return _digest(parts, 63)


def splitmix64(key: int, ids: Ids) -> NDArray[np.uint64]:
    """Outputs number ``ids`` (from 0) of the splitmix64 generator seeded with ``key``."""
    with np.errstate(over="ignore"):  # arithmetic is modulo 2⁶⁴
        x = np.uint64(key) + (ids.astype(np.uint64) + np.uint64(1)) * _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * _MIX_1
        x = (x ^ (x >> np.uint64(27))) * _MIX_2
        return np.asarray(x ^ (x >> np.uint64(31)), dtype=np.uint64)


def uniform(seed: int, epoch: int, ids: Ids | Sequence[int], draw: int) -> NDArray[np.float64]:
    """One number in [0, 1) per sample id: the sample's draw number ``draw`` in that epoch."""
    key = _digest((seed, epoch, "draw", draw), 64)
    high = splitmix64(key, np.asarray(ids, dtype=np.int64)) >> np.uint64(11)
    return high.astype(np.float64) * 2.0**-53


@lru_cache(4096)
def _draw_key(seed: int, epoch: int, draw: int) -> int:
    return _digest((seed, epoch, "draw", draw), 64)


def number(seed: int, epoch: int, sample: int, draw: int) -> float:
    """``uniform`` of one sample, in whole numbers of Python's: a hundredth of an array's time."""
    x = (_draw_key(seed, epoch, draw) + (sample + 1) * int(_GOLDEN)) % 2**64
    x = ((x ^ (x >> 30)) * int(_MIX_1)) % 2**64
    x = ((x ^ (x >> 27)) * int(_MIX_2)) % 2**64
    return ((x ^ (x >> 31)) >> 11) * 2.0**-53


def balanced(seed: int, epoch: int, labels: Ids, count: int) -> Ids:
    """``count`` indices into ``labels``, with replacement: a random class of those there, then a random
    sample of it."""
    by_class = np.argsort(labels, kind="stable")
    _, starts, sizes = np.unique(labels[by_class], return_index=True, return_counts=True)
    draws = np.arange(count, dtype=np.int64)
    classes = (uniform(seed, epoch, draws, _CLASS) * len(sizes)).astype(np.int64)
    ranks = (uniform(seed, epoch, draws, _MEMBER) * sizes[classes]).astype(np.int64)
    chosen: Ids = by_class[starts[classes] + ranks]
    return chosen


def permutation(seed: int, epoch: int, n: int) -> Ids:
    """The order of ``n`` samples in an epoch: they are sorted by 64 random bits each."""
    keys = splitmix64(_digest((seed, epoch, "order"), 64), np.arange(n, dtype=np.int64))
    return np.argsort(keys, kind="stable").astype(np.int64, copy=False)
