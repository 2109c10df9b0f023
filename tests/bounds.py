"""Bounds of the difference of two sums of the same floats, whatever the order, the library or the processor.

A sum of n products in any order is wrong by at most γₙ·Σ|x·w| with γₙ = n·u/(1 − n·u) and u half the spacing
of floats at 1 (Higham, *Accuracy and Stability of Numerical Algorithms*, §3.1). Where a tolerance is not of
this kind the operands can be such that no sum of them is rounded at all: ``on_a_grid``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
STEP = 1 / 64
"""Products of its multiples are multiples of 2⁻¹²: float32 holds their sums up to 2¹²."""


def gamma(n: int, dtype: Any = np.float32) -> float:
    """γₙ: the relative error of n roundings in a row."""
    u = float(np.finfo(dtype).eps) / 2
    return n * u / (1 - n * u)


def on_a_grid(x: Array) -> Array:
    """The nearest multiples of 1/64, in x's own type; what is not finite stays."""
    return np.asarray(np.rint(x / STEP) * STEP, dtype=x.dtype)


def assert_within(found: Any, truth: Any, bound: Any) -> None:
    """Every number of ``found`` is at most its ``bound`` away from ``truth``."""
    distance = np.abs(np.asarray(found, np.float64) - np.asarray(truth, np.float64))
    excess = distance - bound
    worst = np.unravel_index(np.argmax(excess), excess.shape)
    assert (excess <= 0).all(), f"at {worst}: {distance[worst]:.3g} apart, {excess[worst]:.3g} too far"
