"""The epilogue's numbers and the thresholds, which follow a product."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import ExportError
from bnn_train.export.targets.c.arrays import flags, least_type
from bnn_train.export.targets.c.fields import Fields, Gathered
from bnn_train.packed.operands import SIGN
from bnn_train.packed.program import Activation, Conv, Epilogue, Map, Prelu, Thresholds, Value
from bnn_train.packed.shapes import border_classes

NOWHERE = "NOWHERE"
_MOST_CLASSES = 256


def epilogue_fields(
    name: str, step: Conv | Map, source: Value, places: dict[int, int], values: Any, found: Gathered
) -> Fields:
    """The lines of an epilogue; notes arrays and features."""
    e = step.epilogue
    factor, summand = e.norm or (None, None)
    tensors = {"scale": e.scale, "bias": e.bias, "factor": factor, "summand": summand}
    fields: Fields = {
        key: found.arrays.add(f"{name}_{key}", "float", found.tensors[tensor], "real numbers")
        for key, tensor in tensors.items()
        if tensor is not None
    }
    maps = {"input_scale": e.input_scale, "gate": e.gate, "residual": e.residual}
    fields |= {key: places[v] for key, v in maps.items() if v is not None}
    if e.input_scale is not None:
        fields["scale_groups"] = values[e.input_scale].channels
    if e.bias is not None and isinstance(step, Conv) and len(found.tensors[e.bias]) > 1:
        fields |= _border(name, step, source, found)
    for key, bend in zip(("activation", "stream"), e.bends, strict=True):
        if bend != "none":
            fields[key] = _bend(f"{name}_{key}", bend, found)
    found.features |= _features(fields, e)
    return fields


def _features(fields: Fields, e: Epilogue) -> set[str]:
    named = {"factor": "norm", "row_class": "border", "activation": "bends", "stream": "bends"}
    kept = {named.get(key, key) for key in fields} - {"summand", "scale_groups"}
    kept -= {"column_class", "column_classes"}
    words = {bend if isinstance(bend, str) else "prelu" for bend in e.bends} - {"none"}
    return kept | words | ({"epilogue"} if fields else set())


def _border(name: str, step: Conv, source: Value, found: Gathered) -> Fields:
    rows, columns, row_count, count = border_classes(step.geometry, source.height, source.width)
    if max(row_count, count) > _MOST_CLASSES:
        raise ExportError(
            f"{step.layer}: its border has {row_count}×{count} classes; the C runtime counts to"
            f" {_MOST_CLASSES} each"
        )
    add = found.arrays.add
    return {
        "row_class": add(f"{name}_row_class", "uint8_t", rows, "border classes"),
        "column_class": add(f"{name}_column_class", "uint8_t", columns, "border classes"),
        "column_classes": count,
    }


def _bend(name: str, bend: Activation, found: Gathered) -> Fields:
    if not isinstance(bend, Prelu):
        return {"kind": f"BEND_{bend.upper()}"}
    fields: Fields = {"kind": "BEND_PRELU"}
    for key in ("before", "negative", "positive", "after"):
        tensor = getattr(bend, key)
        if tensor is not None:
            fields[key] = found.arrays.add(f"{name}_{key}", "float", found.tensors[tensor], "real numbers")
    return fields


def limits_fields(name: str, rule: Thresholds, value: Value, found: Gathered) -> Fields:
    """The comparisons that make a value's bits."""
    tensor, code = found.tensors[rule.tensor], value.code or SIGN
    fields: Fields = {"count": len(tensor), "planes": code.planes}
    if tensor.dtype == np.int32:
        found.features.add("whole_limits")
        found.widen_limits(int(tensor.min()), int(tensor.max()))
        fields["whole"] = (f"{name}_limits", tensor)
    else:
        found.features.add("real_limits")
        fields["real"] = found.arrays.add(f"{name}_limits", "float", tensor, "thresholds")
    if rule.flip is not None and found.tensors[rule.flip].any():
        found.features.add("flip")
        fields["flip"] = flip_words(f"{name}_flip", found.tensors[rule.flip], found)
    if code.apart and code.planes > 1:
        found.features.add("apart")
        fields["apart"] = 1
    return fields


def flip_words(name: str, flip: NDArray[Any], found: Gathered) -> str:
    """The channels that fall, a bit each."""
    return found.arrays.add(name, "uint32_t", flags(flip), "thresholds")


def settled_limits(fields: Fields, found: Gathered) -> Fields:
    """Whole-number thresholds in the smallest type that holds those of every step."""
    if not isinstance(fields.get("whole"), tuple):
        return fields
    name, tensor = fields["whole"]
    own = found.arrays.add(name, least_type(*found.limits), tensor, "thresholds", "bnn_limit")
    return {**fields, "whole": own}
