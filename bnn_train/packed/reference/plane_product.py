"""Sums over a window of planes with real factors: y[c] = Σ_p Σ_q f_p[c]·g_q·dot_pq in float32, each operation
rounded once, p (the weight's planes) outer, q (the input's) inner."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.program import Code, Geometry
from bnn_train.packed.reference.bit_product import bit_product

Array = NDArray[Any]


class Operand(NamedTuple):
    """One side of the product."""

    bits: Array
    """An input's words N×H×W×P×⌈C/32⌉, or a weight's rows P×O×⌈n/8⌉."""
    code: Code
    """Of one term: the sign where there are factors, else all planes together."""
    factors: Array | None
    """float32 P×O of a weight, P of an input; None: a single term without a factor."""

    @property
    def terms(self) -> int:
        """The count of terms that it brings."""
        return 1 if self.factors is None else len(self.factors)


def plane_product(a: Operand, channels: int, w: Operand, geometry: Geometry, pad: int) -> NDArray[np.float32]:
    """N×H′×W′×O. ``a``: the input, of so many channels; ``w``: the weight. Taps outside the map have the code
    ``pad``."""
    total = np.zeros(0, np.float32)
    for p in range(w.terms):
        rows = w.bits if w.factors is None else w.bits[p : p + 1]
        for q in range(a.terms):
            x = a.bits if a.factors is None else a.bits[..., q : q + 1, :]
            term = bit_product(x, channels, a.code, rows, w.code, geometry, pad).astype(np.float32)
            term *= _factor(w, p, a, q)
            total = term if (p, q) == (0, 0) else np.add(total, term, out=total)
    return total


def _factor(w: Operand, p: int, a: Operand, q: int) -> Array:
    """f_p[c]·g_q rounded once, or the one of them that there is."""
    own = np.ones(1, np.float32) if w.factors is None else w.factors[p]
    return np.asarray(own if a.factors is None else own * a.factors[q], dtype=np.float32)
