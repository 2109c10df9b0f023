"""From a product to real values, and from those to codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import bits
from bnn_train.packed.program import Activation, Code, Epilogue, Planes, Prelu, Thresholds
from bnn_train.packed.reference.fma import fma
from bnn_train.packed.reference.sigmoid import sigmoid

Array = NDArray[Any]
Tensors = Mapping[str, Array]


def relu(y: Array) -> Array:
    """max(y, 0); keeps NaN and −0.0."""
    return np.where(y < 0, np.float32(0), y)


def hardtanh(y: Array) -> Array:
    """y clipped to [−1, 1]; keeps NaN and −0.0."""
    return np.where(y < -1, np.float32(-1), np.where(y > 1, np.float32(1), y))


_WORDS: dict[str, Callable[[Array], Array]] = {
    "none": lambda y: y,
    "relu": relu,
    "hardtanh": hardtanh,
    "sigmoid": sigmoid,
}


def prelu(y: Array, bend: Prelu, tensors: Tensors) -> Array:
    """N×H×W×O, channel by channel."""
    if bend.before is not None:
        y = y + tensors[bend.before]
    above = y if bend.positive is None else y * tensors[bend.positive]
    y = np.where(y < 0, y * tensors[bend.negative], above)
    return y if bend.after is None else y + tensors[bend.after]


def activate(y: Array, activation: Activation, tensors: Tensors) -> Array:
    """A nonlinearity of the epilogue."""
    return prelu(y, activation, tensors) if isinstance(activation, Prelu) else _WORDS[activation](y)


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
    if e.gate is not None:
        y = y * values[e.gate]
    if e.norm is not None:
        y = fma(y, tensors[e.norm[0]], tensors[e.norm[1]])
    y = activate(y, e.activation, tensors)
    if e.residual is not None:
        y = y + values[e.residual]
    return activate(y, e.stream, tensors)


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
