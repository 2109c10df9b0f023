"""From a product to real values, and from those to codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import bits
from bnn_train.packed.program import Activation, Code, Epilogue, Planes, Thresholds
from bnn_train.packed.reference.fma import fma

Array = NDArray[Any]
Tensors = Mapping[str, Array]


def relu(y: Array) -> Array:
    """max(y, 0); keeps NaN and −0.0."""
    return np.where(y < 0, np.float32(0), y)


def hardtanh(y: Array) -> Array:
    """y clipped to [−1, 1]; keeps NaN and −0.0."""
    return np.where(y < -1, np.float32(-1), np.where(y > 1, np.float32(1), y))


_ACTIVATIONS: dict[Activation, Callable[[Array], Array]] = {
    "none": lambda y: y,
    "relu": relu,
    "hardtanh": hardtanh,
}


def epilogue(y: Array, e: Epilogue, tensors: Tensors, values: Mapping[int, Array], classes: Array) -> Array:
    """y: N×H×W×O, whole or real; classes: the border class of each pixel, H×W. float32, as
    ``program.Epilogue`` says."""
    y = y.astype(np.float32)
    if e.scale is not None:
        y = y * tensors[e.scale]
    if e.input_scale is not None:
        k = values[e.input_scale]
        y = y * np.repeat(k, y.shape[3] // k.shape[3], axis=3)
    if e.bias is not None:
        rows = tensors[e.bias]
        y = y + (rows[classes] if len(rows) > 1 else rows[0])
    if e.norm is not None:
        y = fma(y, tensors[e.norm[0]], tensors[e.norm[1]])
    y = _ACTIVATIONS[e.activation](y)
    if e.residual is not None:
        y = y + values[e.residual]
    return _ACTIVATIONS[e.stream](y)


def threshold(y: Array, rule: Thresholds, code: Code | Planes, tensors: Tensors) -> NDArray[np.uint32]:
    """The bits of each number as words N×H×W×P×⌈O/32⌉."""
    limits = tensors[rule.tensor]
    falls = tensors[rule.flip].astype(np.bool_) if rule.flip is not None else np.zeros(y.shape[3], np.bool_)
    if code.apart:
        failed = [np.where(falls, y > limit, y < limit) for limit in limits]
        return bits.pack_words(np.stack(failed, axis=-2))
    passed = np.zeros(y.shape, np.int32)
    for limit in limits:
        passed += ~np.where(falls, y > limit, y < limit)
    return bits.pack_words(bits.digits(passed, code.planes))
