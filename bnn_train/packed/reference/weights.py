"""Weights as they stand in the file to numbers O×Kh×Kw×I."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import bits
from bnn_train.packed.program import BitWeight, Code, Geometry, IntWeight, RealWeight

Array = NDArray[Any]
Tensors = Mapping[str, Array]


def codes(
    weight: BitWeight, code: Code, tensors: Tensors, geometry: Geometry, inner: int
) -> NDArray[np.int64]:
    """Weight codes times the gain of their input channel; ``inner``: input channels of a group."""
    found = bits.filter_codes(tensors[weight.tensor], (*geometry.kernel, inner), code).astype(np.int64)
    return found if weight.gain is None else found * tensors[weight.gain]


def digits(weight: IntWeight, tensors: Tensors) -> NDArray[np.int64]:
    """Σ_d 256^d·digit_d."""
    stored = tensors[weight.tensor].astype(np.int64)
    return np.asarray(np.einsum("d...,d->...", stored, 256 ** np.arange(len(stored), dtype=np.int64)))


def reals(
    weight: BitWeight | RealWeight, tensors: Tensors, geometry: Geometry, inner: int
) -> NDArray[np.float32]:
    """float32 weights; the codes of bits as such, planes each times its factor."""
    if not isinstance(weight, BitWeight):
        return widen(tensors[weight.tensor])
    if isinstance(weight.code, Code):
        return codes(weight, weight.code, tensors, geometry, inner).astype(np.float32)
    negative = bits.filter_signs(tensors[weight.tensor], (*geometry.kernel, inner))
    return added(tensors[weight.factors or ""], negative)


def added(factors: Array, negative: Array) -> NDArray[np.float32]:
    """Σ_p factors[p, c]·s_p of truth values P×O×… (true: the sign −1), in order of p in float32."""
    total = np.zeros(0, np.float32)
    for p, (factor, plane) in enumerate(zip(factors, negative, strict=True)):
        own = factor.reshape(-1, *(1,) * (plane.ndim - 1))
        term = np.where(plane, -own, own)
        total = term if p == 0 else total + term
    return total


def widen(stored: Array) -> NDArray[np.float32]:
    """float32 as it is; uint16, the upper half of a float32, with zeros below."""
    if stored.dtype == np.uint16:
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.asarray(stored, dtype=np.float32)
