"""Checks of a tensor's numbers. Each answers with the fault in words, or None."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.reference.weights import widen
from bnn_train.spec.limits import MAX_REAL

Array = NDArray[Any]
Check = Callable[[Array], str | None]
MAX_THRESHOLD = float(np.finfo(np.float32).max)
_BLOCK = 2**16


def anything(_tensor: Array) -> str | None:
    """No rule but type and shape."""
    return None


def reals(tensor: Array) -> str | None:
    """Finite, and far enough from the largest float32 that sums stay finite. Also for the upper halves
    (uint16)."""
    return _bounded(tensor, MAX_REAL)


def limits(tensor: Array) -> str | None:
    """float32 thresholds: finite."""
    return _bounded(tensor, MAX_THRESHOLD)


def _bounded(tensor: Array, most: float) -> str | None:
    flat = tensor.reshape(-1)
    for at in range(0, flat.size, _BLOCK):
        block = widen(flat[at : at + _BLOCK])
        if not (np.abs(block) <= np.float32(most)).all():  # false for NaN as well
            return f"it holds NaN, infinity or a number beyond ±{most:.3g}"
    return None


@dataclass(frozen=True)
class Between:
    """Whole numbers in [low, high]."""

    low: int
    high: int

    def __call__(self, tensor: Array) -> str | None:
        return self.judge(int(tensor.min()), int(tensor.max()))

    def judge(self, least: int, most: int) -> str | None:
        """For a tensor whose numbers lie in [least, most] and reach both."""
        if self.low <= least and most <= self.high:
            return None
        return f"it holds {least if least < self.low else most}; {self.low} to {self.high} are allowed"


def positive(tensor: Array) -> str | None:
    """Finite reals above 0."""
    return reals(tensor) or ("it holds a number that is not above 0" if (tensor <= 0).any() else None)


@dataclass(frozen=True)
class RowsOf:
    """Rows of ``count`` bits: those behind in the last byte are 0."""

    count: int

    def __call__(self, tensor: Array) -> str | None:
        used = self.count % 8
        if used and (tensor[..., -1] >> used).any():
            return f"the unused bits after bit {self.count} of a filter are not 0"
        return None
