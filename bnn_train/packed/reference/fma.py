"""a·b + c with one rounding, which numpy does not offer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def fma(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> NDArray[np.float32]:
    """float32 a·b + c, rounded once to nearest, ties to even.

    The product of two float32 is exact in float64 (48 bits of 53). The sum is rounded there *to odd*, after
    which the rounding to float32 gives what a single rounding would (Boldo & Melquiond, IEEE Trans. Computers
    57, 2008: 53 ≥ 2·24 + 2).
    """
    product = a.astype(np.float64) * b.astype(np.float64)
    summand = np.broadcast_to(c, product.shape).astype(np.float64)
    total = product + summand
    back = total - product
    error = (product - (total - back)) + (summand - back)  # Knuth's two-sum: total + error is exact
    return _to_odd(total, error).astype(np.float32)


def _to_odd(total: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    """The neighbour of total + error with an odd significand, where error is not 0."""
    even = (total.view(np.int64) & 1) == 0
    inexact = np.isfinite(error) & (error != 0) & np.isfinite(total)
    towards = np.where(error > 0, np.inf, -np.inf)
    return np.where(even & inexact, np.nextafter(total, towards), total)
