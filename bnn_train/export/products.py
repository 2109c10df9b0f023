"""A convolution or dense layer as a product of the packed program, its weight in the file's form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import ExportError
from bnn_train.export.builder import Builder
from bnn_train.export.first import Affine, border_bias, gains, per_input
from bnn_train.export.graph import Op, binary, key_of
from bnn_train.export.numbers import F32, bias_of, input_factors, product_scale, weight_factors
from bnn_train.export.options import DIGITS
from bnn_train.export.weights import (
    bfloat16,
    bound_of,
    code_of_weight,
    digits_of,
    geometry_of,
    is_whole,
    quantized_weight,
    real_weight,
    whole,
)
from bnn_train.packed.bits import pack_filters, pack_planes
from bnn_train.packed.program import BitWeight, Geometry, IntWeight, Planes, RealWeight, Weight

EXACT = 2**24
"""float32 adds whole numbers below this without rounding."""


@dataclass(frozen=True)
class Product:
    """The parts of a ``Conv`` step, its epilogue's constants as arrays."""

    op: Op
    input: int
    weight: Weight
    geometry: Geometry
    scale: F32 | None = None
    bias: F32 | None = None
    """B×O."""
    pad: int = 0
    bound: int | None = None
    """The largest magnitude of a product of bits with bits, else None."""
    input_scale: int | None = None
    factors: str | None = None
    """The tensor of an input's factors, where it has several bases."""

    def with_scale(self, index: int) -> Product:
        """The same with K."""
        return replace(self, input_scale=index)


def product_of(op: Op, input_: int, pixels: Affine | None, *, form: str, first: str, out: Builder) -> Product:
    """The product of an operation that reads value ``input_``. ``form``, ``first``: as in ``Options``."""
    if pixels is not None:
        return _of_pixels(op, input_, pixels, first, out)
    if key_of(op) is not None:
        return _of_bits(op, input_, out)
    return _of_reals(op, input_, form, out)


def _of_bits(op: Op, input_: int, out: Builder) -> Product:
    layer, key, codes = binary(op), key_of(op), quantized_weight(op)
    if layer is None or key is None or codes is None:
        raise ExportError(
            f"{op.layer}: multiplies quantized activations with real weights, which the packed program has no"
            " product for; quantize its weights, or export with --binarize if they are latent"
        )
    bound = bound_of(op)
    if bound >= EXACT:
        raise ExportError(
            f"{op.layer}: products reach {bound}, but float32 adds whole numbers only below 2²⁴"
        )
    return Product(
        op=op,
        input=input_,
        weight=_bits(op, codes, out),
        geometry=geometry_of(op),
        scale=product_scale(op),
        bias=_row(bias_of(op)),
        pad=layer.method.padding,
        bound=bound if is_whole(op) else None,
        factors=out.optional(f"{op.layer}.input_factors", input_factors(op)),
    )


def _bits(op: Op, codes: NDArray[Any], out: Builder, gain: str | None = None) -> BitWeight:
    layer = binary(op)
    if layer is None:
        raise ExportError(f"{op.layer}: is no binary layer")
    code, factors = code_of_weight(layer), weight_factors(op)
    rows = pack_planes(codes < 0) if isinstance(code, Planes) else pack_filters(codes, code)
    return BitWeight(
        tensor=out.tensor(f"{op.layer}.weight", rows),
        code=code,
        gain=gain,
        factors=out.optional(f"{op.layer}.factors", factors),
    )


def _of_reals(op: Op, input_: int, form: str, out: Builder) -> Product:
    codes = quantized_weight(op)
    common: dict[str, Any] = {"op": op, "input": input_, "geometry": geometry_of(op)}
    bias = _row(bias_of(op))
    if codes is not None:
        return Product(**common, weight=_bits(op, codes, out), scale=product_scale(op), bias=bias)
    weight = real_weight(op)
    name = f"{op.layer}.weight"
    if form == "int8":
        numbers, scale = whole(weight, 1)
        return Product(
            **common, weight=IntWeight(tensor=out.tensor(name, digits_of(numbers, 1))), scale=scale, bias=bias
        )
    if form == "bf16":
        return Product(
            **common, weight=RealWeight(kind="bf16", tensor=out.tensor(name, bfloat16(weight))), bias=bias
        )
    return Product(**common, weight=RealWeight(kind="f32", tensor=out.tensor(name, weight)), bias=bias)


def _of_pixels(op: Op, input_: int, pixels: Affine, first: str, out: Builder) -> Product:
    """The layer that reads bytes: the normalization's factors in weights or gains, the rest in the bias."""
    codes = quantized_weight(op)
    common: dict[str, Any] = {"op": op, "input": input_, "geometry": geometry_of(op)}
    own = bias_of(op)
    if codes is not None and codes.ndim > 4:
        raise ExportError(
            f"{op.layer}: multiplies pixels with weights of several bases, which the packed program has no"
            " product for; leave the first layer real (method.scope.real)"
        )
    if codes is None:
        weight = real_weight(op).astype(np.float64)
        digits = DIGITS[first]
        numbers, scale = whole(weight * per_input(op, pixels.factor), digits)
        tensor = out.tensor(f"{op.layer}.weight", digits_of(numbers, digits))
        bias = border_bias(op, weight, pixels, own)
        return Product(**common, weight=IntWeight(tensor=tensor), scale=scale, bias=bias)
    alpha = product_scale(op)
    alpha64 = np.ones(op.channels) if alpha is None else alpha.astype(np.float64)
    gain, unit = gains(pixels)
    name = out.optional(f"{op.layer}.gain", gain)
    bias = border_bias(op, codes * alpha64[:, None, None, None], pixels, own)
    scale = (alpha64 * unit).astype(np.float32)
    return Product(**common, weight=_bits(op, codes, out, name), scale=scale, bias=bias)


def _row(bias: F32 | None) -> F32 | None:
    return None if bias is None else bias[None]
