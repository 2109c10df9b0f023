"""Weights as the file stores them: planes of bits, whole-number digits, or real numbers, channel-last."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.binary.layers import BinaryLayer
from bnn_train.errors import ExportError
from bnn_train.export.graph import Op, binary, code_of, key_of
from bnn_train.export.numbers import array
from bnn_train.packed.bits import code_numbers
from bnn_train.packed.operands import term_code
from bnn_train.packed.program import Code, Geometry, Planes

Array = NDArray[Any]
LIMITS = {1: 127, 2: 127 * 257, 3: 127 * 65793}
"""The largest whole number of so many signed base-256 digits."""


def code_of_weight(layer: BinaryLayer) -> Code | Planes:
    """The meaning of the bits of a quantized weight.

    Raises TypeError for a real one.
    """
    if layer.weight_quantizer is None:
        raise TypeError(f"{type(layer).__name__} of role {layer.role} has a real weight")
    return code_of(layer.weight_quantizer.quantizer)


def largest(code: Code | Planes) -> int:
    """The largest magnitude of a code, of planes that of a sign."""
    code = term_code(code)
    spread = sum(code.values)
    return max(abs(code.offset - spread), abs(code.offset + spread)) // code.denominator


def is_whole(op: Op) -> bool:
    """Whether a product of quantized inputs with quantized weights is a whole number, times one factor."""
    layer, key = binary(op), key_of(op)
    codes = (None if key is None else key.code, None if layer is None else code_of_weight(layer))
    return not any(isinstance(code, Planes) for code in codes)


def bound_of(op: Op) -> int:
    """The largest magnitude that a product of quantized inputs with quantized weights may have."""
    layer, key = binary(op), key_of(op)
    if layer is None or key is None:
        raise TypeError(f"{op.layer} multiplies real numbers")
    inputs = max(largest(key.code), abs(layer.method.padding))
    return layer.weight[0].numel() * largest(code_of_weight(layer)) * inputs


def channel_last(op: Op, weight: Array) -> Array:
    """O×I×Kh×Kw, or O×F of a dense layer that reads a flattened map C×H×W, to O×Kh×Kw×I."""
    if weight.ndim == 2:
        weight = weight.reshape(len(weight), *op.inputs[0].shape)
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1))


def real_weight(op: Op) -> Array:
    """The layer's own weight, float32 O×Kh×Kw×I."""
    weight = array(op.module.weight)  # type: ignore[union-attr, arg-type]  # a product's module has one
    if not np.isfinite(weight).all():
        raise ExportError(f"{op.layer}: a weight is not finite; the checkpoint is of a run that diverged")
    return channel_last(op, weight)


def quantized_weight(op: Op) -> Array | None:
    """Codes O×Kh×Kw×I, or P×O×Kh×Kw×I of several bases, where the evaluation multiplies with quantized
    weights, else None."""
    layer = binary(op)
    if layer is None or layer.reads_latent:
        return None
    real_weight(op)  # a NaN would become a sign
    found, code = layer.codes(), code_of_weight(layer)
    numbers = found.numbers if found.bases > 1 else found.numbers[None]
    stacked = np.stack([channel_last(op, array(basis)) for basis in numbers])
    codes = stacked if found.bases > 1 else stacked[0]
    if not np.isin(codes, code_numbers(term_code(code))).all():
        raise ExportError(
            f"{op.layer}: its stored weights are not ±1; the checkpoint is not one of this method"
        )
    return codes.astype(np.int8)


def geometry_of(op: Op) -> Geometry:
    """How a product walks over its map; a dense layer covers it."""
    module: Any = op.module
    if not hasattr(module, "kernel_size"):
        return Geometry(kernel=op.inputs[0].shape[1:])
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise ExportError(
            f"{op.layer}: padding {module.padding_mode} {module.padding}; the packed program pads by numbers"
        )
    return Geometry(
        kernel=module.kernel_size,
        stride=module.stride,
        padding=module.padding,
        dilation=module.dilation,
        groups=module.groups,
    )


def bfloat16(weight: Array) -> NDArray[np.uint16]:
    """The upper halves of float32 numbers, rounded to nearest, ties to even."""
    bits = weight.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def whole(weight: Array, digits: int) -> tuple[Array, Array]:
    """Real O×… weights as whole numbers (int64) of so many digits, and the float32 scale of each output."""
    limit = LIMITS[digits]
    top = np.abs(weight.reshape(len(weight), -1)).max(axis=1)
    scale = np.where(top > 0, top / limit, 1.0).astype(np.float32)
    per_output = scale.astype(np.float64).reshape(-1, *[1] * (weight.ndim - 1))
    return np.clip(np.rint(weight / per_output), -limit, limit).astype(np.int64), scale


def digits_of(numbers: Array, digits: int) -> NDArray[np.int8]:
    """Whole numbers as signed base-256 digits, the lowest first: int8 D×…"""
    planes = []
    for _ in range(digits):
        low = (numbers + 128) % 256 - 128
        planes.append(low.astype(np.int8))
        numbers = (numbers - low) // 256
    return np.stack(planes)
