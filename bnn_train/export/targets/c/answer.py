"""The answer without real numbers: the logits of the last layer on one whole-number scale.

The greatest logit is the answer, the first one of equals. Whole numbers answer alike if they are ordered as
the float32 logits are, for every pair of sums that two classes can reach; that is tried, not assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.program import Epilogue
from bnn_train.packed.reference.epilogue import epilogue

Array = NDArray[Any]
_MOST_SUMS = 2**22
_SIGNIFICANT = 24


@dataclass(frozen=True)
class Scores:
    """score = factor·sum + summand for each class; ``rounded``: to 24 binary digits, as float32 does."""

    factors: NDArray[np.int64]
    summands: NDArray[np.int64]
    rounded: bool

    @property
    def kind(self) -> str:
        """C's type of a score."""
        return "int64_t" if self.rounded else "int32_t"


def scores(e: Epilogue, tensors: Mapping[str, Array], classes: int, sums: Array) -> Scores | None:
    """For the whole-number ``sums`` that a class can reach, ascending; None where none was found."""
    if len(sums) * classes > _MOST_SUMS or any(v is not None for v in (e.input_scale, e.gate, e.residual)):
        return None
    y = np.broadcast_to(sums[None, :, None, None], (1, len(sums), 1, classes))
    with np.errstate(all="ignore"):
        logits = epilogue(y, e, tensors, {}, np.zeros((len(sums), 1), np.int64))[0, :, 0]
    if not np.isfinite(logits).all():
        return None
    for candidate in _candidates(e, tensors, classes, logits, sums):
        if _same_order(logits, scored(candidate, sums)):
            return candidate
    return None


def scored(s: Scores, sums: Array) -> NDArray[np.int64]:
    """Sums × classes."""
    found = sums.astype(np.int64)[:, None] * s.factors + s.summands
    return _rounded(found) if s.rounded else found


def _rounded(x: NDArray[np.int64]) -> NDArray[np.int64]:
    size, shift = np.abs(x), np.zeros(x.shape, np.int64)
    while (over := size >> shift >= 2**_SIGNIFICANT).any():
        shift += over
    half = np.where(shift > 0, (1 << np.maximum(shift - 1, 0)) - ((size >> shift & 1) == 0), 0)
    return np.asarray(np.sign(x) * ((size + half) >> shift << shift))


def _same_order(logits: Array, found: NDArray[np.int64]) -> bool:
    """Equal where logits are equal, and greater where they are greater."""
    flat, whole = logits.reshape(-1), found.reshape(-1)
    order = np.lexsort((whole, flat))
    steps, grows = np.diff(flat[order]) > 0, np.diff(whole[order])
    return bool(np.where(steps, grows > 0, grows == 0).all())


def _candidates(
    e: Epilogue, tensors: Mapping[str, Array], classes: int, logits: Array, sums: Array
) -> Iterator[Scores]:
    """Lines through the logits in 32 bits, then the norm itself in 64."""
    reach = float(max(abs(int(sums[0])), abs(int(sums[-1])), 1))
    first, last = logits[0].astype(np.float64), logits[-1].astype(np.float64)
    slopes = (last - first) / max(float(sums[-1] - sums[0]), 1.0)
    starts = first - slopes * float(sums[0])
    largest = float((np.abs(slopes) * reach + np.abs(starts)).max())
    top = int(np.floor(np.log2(2**30 / largest))) if 0 < largest < 2.0**60 else 0
    for shift in range(top - 6, top + 1):
        unit = 2.0**shift
        yield Scores(np.rint(slopes * unit).astype(np.int64), np.rint(starts * unit).astype(np.int64), False)
    exact = _exact(e, tensors, classes, int(reach))
    if exact is not None:
        yield exact


def _exact(e: Epilogue, tensors: Mapping[str, Array], classes: int, reach: int) -> Scores | None:
    """The one line fma(sum, a, b) as whole numbers over a common power of two, as float32 rounds it."""
    lines = [x is not None for x in (e.scale, e.bias, e.norm)]
    if sum(lines) > 1 or e.bends != ("none", "none") or reach >= 2**_SIGNIFICANT:
        return None
    a, b = np.ones(classes, np.float32), np.zeros(classes, np.float32)
    if e.scale is not None:
        a = tensors[e.scale]
    if e.bias is not None:
        b = tensors[e.bias][0]
    if e.norm is not None:
        a, b = tensors[e.norm[0]], tensors[e.norm[1]]
    exact = [Fraction(float(x)) for x in (*a, *b)]
    unit = max(x.denominator for x in exact)  # powers of two: the largest is common to all
    whole = [int(x * unit) for x in exact]
    if max(abs(x) for x in whole) * (reach + 1) >= 2**62:
        return None
    return Scores(np.array(whole[:classes]), np.array(whole[classes:]), True)
