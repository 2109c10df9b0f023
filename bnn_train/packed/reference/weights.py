"""Weights as they stand in the file to numbers O×Kh×Kw×I."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import bits
from bnn_train.packed.program import BitWeight, Geometry, IntWeight, RealWeight

Array = NDArray[Any]
Tensors = Mapping[str, Array]


def codes(weight: BitWeight, tensors: Tensors, geometry: Geometry, inner: int) -> NDArray[np.int64]:
    """Weight codes times the gain of their input channel; ``inner``: input channels of a group."""
    found = bits.filter_codes(tensors[weight.tensor], (*geometry.kernel, inner), weight.code).astype(np.int64)
    return found if weight.gain is None else found * tensors[weight.gain]


def digits(weight: IntWeight, tensors: Tensors) -> NDArray[np.int64]:
    """Σ_d 256^d·digit_d."""
    stored = tensors[weight.tensor].astype(np.int64)
    return np.asarray(np.einsum("d...,d->...", stored, 256 ** np.arange(len(stored), dtype=np.int64)))


def reals(
    weight: BitWeight | RealWeight, tensors: Tensors, geometry: Geometry, inner: int
) -> NDArray[np.float32]:
    """float32 weights, or the codes of bits as such."""
    if isinstance(weight, BitWeight):
        return codes(weight, tensors, geometry, inner).astype(np.float32)
    return widen(tensors[weight.tensor])


def widen(stored: Array) -> NDArray[np.float32]:
    """float32 as it is; uint16, the upper half of a float32, with zeros below."""
    if stored.dtype == np.uint16:
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.asarray(stored, dtype=np.float32)
