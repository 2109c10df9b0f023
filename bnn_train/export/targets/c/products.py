"""The products of a convolution: weights as arrays, codes, factors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.c.arrays import least_type
from bnn_train.export.targets.c.fields import Fields, Gathered
from bnn_train.packed import bits
from bnn_train.packed.operands import SIGN, adds_in_order, term_code
from bnn_train.packed.program import BitWeight, Code, Conv, IntWeight, Planes, RealWeight, Value
from bnn_train.packed.reference.weights import digits

WHOLE = ("BITS", "PIXELS_BITS", "PIXELS_INTS")
"""Kinds whose product is a whole number."""


def kind_of(step: Conv, source: Value, tensors: Mapping[str, NDArray[Any]]) -> str:
    """The runtime's name for a product."""
    weight = step.weight
    if source.code is not None and isinstance(weight, BitWeight):
        return "PLANES" if Planes in (type(source.code), type(weight.code)) else "BITS"
    if isinstance(weight, IntWeight) and adds_in_order(source, weight, len(tensors[weight.tensor])):
        return "PIXELS_IN_ORDER"
    if source.type == "u8":
        return "PIXELS_BITS" if isinstance(weight, BitWeight) else "PIXELS_INTS"
    return "ROUNDED" if isinstance(weight, IntWeight) else "REAL"


def product(name: str, step: Conv, source: Value, outputs: int, found: Gathered) -> Fields:
    """The fields of a convolution that its product reads; notes arrays and features."""
    kind = kind_of(step, source, found.tensors)
    match step.weight:
        case BitWeight() as weight:
            own = _bits(name, step, source, outputs, weight, kind, found)
        case IntWeight() as weight:
            own = _ints(name, weight, kind, found)
        case RealWeight() as weight:
            own = _reals(name, weight, found)
    if kind == "REAL":
        found.features.add("real_product")
    return {"kind": kind, **own}


def _bits(
    name: str, step: Conv, source: Value, outputs: int, weight: BitWeight, kind: str, found: Gathered
) -> Fields:
    inner = source.channels // step.geometry.groups
    rows = found.tensors[weight.tensor]
    if kind in ("BITS", "PLANES"):
        return _bit_fields(name, step, source, weight, kind, inner, found)
    found.features |= {"rows", "pixels_bits" if kind == "PIXELS_BITS" else "real_bits"}
    fields: Fields = {"rows": found.arrays.add(f"{name}_rows", "uint8_t", rows, "weights")}
    if isinstance(weight.code, Planes):
        found.features.add("real_planes")
        return {**fields, **_factors(name, weight, found)}
    if kind == "REAL" or weight.code != SIGN:
        found.features |= {"codes", "pixel_codes"} if kind == "PIXELS_BITS" else {"codes"}
    if weight.gain is not None:
        found.features.add("gain")
        fields["gain"] = found.arrays.add(
            f"{name}_gain", "int32_t", found.tensors[weight.gain], "real numbers"
        )
    if kind == "PIXELS_BITS":
        gains = found.tensors[weight.gain].astype(object).sum() if weight.gain is not None else inner
        taps = step.geometry.kernel[0] * step.geometry.kernel[1]
        largest = abs(weight.code.offset) + sum(weight.code.values)
        found.whole = max(found.whole, 2 * 255 * int(gains) * taps * largest)
    fields["weight_code"] = weight.code
    return fields


def _bit_fields(
    name: str, step: Conv, source: Value, weight: BitWeight, kind: str, inner: int, found: Gathered
) -> Fields:
    """Both operands in bits: every tap's channels in words of their own."""
    g, code = step.geometry, source.code or SIGN
    words = bits.filter_words(found.tensors[weight.tensor], (*g.kernel, inner))
    found.features.add("bits")
    fields: Fields = {
        "words": found.arrays.add(f"{name}_words", "uint32_t", words, "weights"),
        "input_planes": code.planes,
    }
    a, w = term_code(code), term_code(weight.code)
    if (a, w) != (SIGN, SIGN):
        found.features |= {"codes", "bit_codes"}
        found.features |= {"input_offsets"} if a.offset else set()
        found.features |= {"weight_offsets"} if w.offset else set()
    fields |= {"input_code": a, "weight_code": w}
    if step.pad and g.padding != (0, 0):
        found.features.add("pad")
        fields["pad"] = step.pad
    if g.groups > 1 and inner % bits.WORD:
        found.features.add("split")
    if kind == "BITS":
        return fields
    found.features.add("factored")
    if isinstance(weight.code, Planes):
        fields |= _factors(name, weight, found)
    if step.input_factors is not None:
        found.features.add("input_factors")
        factors = found.tensors[step.input_factors]
        own = found.arrays.add(f"{name}_input_factors", "float", factors, "real numbers")
        fields |= {"input_factors": own, "input_terms": code.planes}
    return fields


def _factors(name: str, weight: BitWeight, found: Gathered) -> Fields:
    found.features.add("weight_factors")
    factors = found.tensors[weight.factors or ""]
    own = found.arrays.add(f"{name}_factors", "float", factors, "real numbers")
    return {"factors": own, "terms": len(factors)}


def _ints(name: str, weight: IntWeight, kind: str, found: Gathered) -> Fields:
    w = digits(weight, found.tensors)
    feature = {"PIXELS_INTS": "pixels_ints", "PIXELS_IN_ORDER": "pixels_in_order", "ROUNDED": "rounded"}[kind]
    found.features |= {"ints", feature}
    found.widen_ints(int(w.min()), int(w.max()))
    if kind == "PIXELS_IN_ORDER":
        return {"ints": (f"{name}_ints", w)}
    largest = int(np.abs(w).reshape(len(w), -1).sum(axis=1).max())
    found.whole = max(found.whole, largest * (255 if kind == "PIXELS_INTS" else 128))
    return {"ints": (f"{name}_ints", w)}


def _reals(name: str, weight: RealWeight, found: Gathered) -> Fields:
    kind, feature = ("float", "floats") if weight.kind == "f32" else ("uint16_t", "halves")
    found.features.add(feature)
    own = found.arrays.add(f"{name}_{feature}", kind, found.tensors[weight.tensor], "weights")
    return {feature: own}


def code_fields(code: Code, found: Gathered) -> Fields:
    """The initialiser of a whole-number code."""
    name = "values_" + "_".join(map(str, code.values))
    values = found.arrays.add(name, "uint16_t", np.array(code.values), "codes")
    return {
        "offset": code.offset,
        "values": values,
        "planes": code.planes,
        "denominator": code.denominator,
    }


def settled(fields: Fields, found: Gathered) -> Fields:
    """Fields that depend on all steps: codes where the runtime reads them, weights in one integer type."""
    result = dict(fields)
    for key in ("input_code", "weight_code"):
        if isinstance(result.get(key), Code):
            if "codes" in found.features:
                result[key] = code_fields(result[key], found)
            else:
                del result[key]
    if "ints" in result:
        name, w = result["ints"]
        result["ints"] = found.arrays.add(name, least_type(*found.ints), w, "weights", "bnn_int")
    return result
