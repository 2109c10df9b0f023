"""1/(1 + e^−y) by operations that every engine can repeat: libraries round e^y each in its own way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 104.0
"""e^−104 is below half of the least float32."""
PER_LN2 = float.fromhex("0x1.71547652b82fep+0")
"""1/ln 2."""
LN2 = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
"""ln 2 in two parts, the first of 32 bits."""
COEFFICIENTS = tuple(1 / math.factorial(i) for i in range(14))


def sigmoid(y: NDArray[Any]) -> NDArray[np.float32]:
    """float32 to float32. In float64, each operation rounded once:

    t = −min(|y|, 104); k = rint(t·PER_LN2), ties to even; r = (t − k·LN2[0]) − k·LN2[1];
    p = c[13]; p = p·r + c[i] for i = 12 … 0 (two roundings); e = p·2^k;
    e/(1 + e) where y < 0, else 1/(1 + e); then rounded once to float32. NaN stays NaN.
    """
    t = -np.minimum(np.abs(y.astype(np.float64)), MOST)
    k = np.rint(t * PER_LN2)
    r = (t - k * LN2[0]) - k * LN2[1]
    e = np.full(r.shape, COEFFICIENTS[13])
    for c in COEFFICIENTS[12::-1]:
        e *= r
        e += c
    e = np.ldexp(e, np.nan_to_num(k).astype(np.int32))
    return np.asarray(np.where(y < 0, e, 1.0) / (1.0 + e), np.float32)
