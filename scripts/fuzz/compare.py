"""Comparison of an engine's numbers with the reference's: equal where the format fixes every rounding, else
within what another order of a sum can explain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import PackedModel
from bnn_train.packed.program import Conv, Epilogue, InputScale, IntWeight, Mean, Prelu, Program, Step
from bnn_train.packed.reference.engine import ReferenceEngine
from bnn_train.packed.reference.product import real
from bnn_train.packed.reference.weights import reals

Array = NDArray[Any]
_EPS = 2.0**-24


def same(found: Array, wanted: Array) -> bool:
    """Equal bit for bit, but for the sign of zero and the kind of a NaN."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return False
    return bool(np.array_equal(found, wanted, equal_nan=found.dtype == np.float32))


def order_is_open(step: Step, program: Program) -> bool:
    """Whether the format leaves the order of this step's sum to the engine."""
    if isinstance(step, Conv):
        return program.values[step.input].type == "f32" and not isinstance(step.weight, IntWeight)
    return isinstance(step, Mean | InputScale)


def differing_step(model: PackedModel, truth: ReferenceEngine, x: Array) -> str | None:
    """The first step whose values differ from the reference's by more than they may, each step run alone."""
    program = truth.program
    values = {0: x}
    for i, step in enumerate(program.steps):
        wanted = truth.step(i, values, 1)
        for v, found in model.step(i, values).items():
            if not _explained(step, truth, values, found, wanted[v], v):
                return f"step {i} ({step.op} {step.layer}), value {v}"
        values.update(wanted)
    return None


def _explained(
    step: Step, truth: ReferenceEngine, values: Mapping[int, Array], found: Array, wanted: Array, v: int
) -> bool:
    if same(found, wanted):
        return True
    if not order_is_open(step, truth.program) or found.shape != wanted.shape or found.dtype != wanted.dtype:
        return False
    if v == getattr(step, "bits", None):
        return True  # a number on the other side of a threshold; the real value tells more
    bound = _bound(step, truth, values[step.input])
    with np.errstate(all="ignore"):
        near = np.abs(found.astype(np.float64) - wanted) <= bound + 1e-6 * np.abs(wanted) + 1e-44
        wild = ~(bound < 1e30)  # where another order overflows
    return bool((near | wild | (np.isnan(found) & np.isnan(wanted)) | (found == wanted)).all())


def _bound(step: Step, truth: ReferenceEngine, x: Array) -> Array:
    """The change of a step's result that the order of its sum may make."""
    size = np.abs(x.astype(np.float64))
    if isinstance(step, Conv):
        inner = x.shape[3] // step.geometry.groups
        weight: Any = step.weight
        w = np.abs(reals(weight, truth.tensors, step.geometry, inner).astype(np.float64))
        count = inner * step.geometry.kernel[0] * step.geometry.kernel[1]
        with np.errstate(all="ignore"):
            total = _real(size, w, step)
            order = total * (2 * (count + 4) * _EPS) * _slope(step.epilogue, truth.tensors)
            return np.asarray(order + _roundings(step.epilogue, truth.tensors, total))
    if isinstance(step, Mean):
        return np.asarray(size.sum(axis=(1, 2), keepdims=True) * 2.0**-50)
    return np.zeros(1)  # sums of |x|: 1e-6 of the result is more than enough


def _real(x: Array, w: Array, step: Conv) -> Array:
    """Σ|x||w|, in float32 unless that overflows."""
    return np.asarray(real(x.astype(np.float32), w.astype(np.float32), step.geometry), np.float64)


def _roundings(e: Epilogue, tensors: Mapping[str, Array], total: Array) -> Array:
    """The difference that the roundings of an epilogue's lines may make, once its first number differs."""
    large: Array = total if e.scale is None else total * np.abs(tensors[e.scale])
    if e.bias is not None:
        large = large + np.abs(tensors[e.bias]).max(axis=0)
    if e.norm is not None:
        large = large * np.abs(tensors[e.norm[0]]) + np.abs(tensors[e.norm[1]])
    for bend in e.bends:
        if isinstance(bend, Prelu):
            shifts = [0.0 if name is None else np.abs(tensors[name]) for name in (bend.before, bend.after)]
            large = (large + shifts[0]) * _steepest(bend, tensors) + shifts[1]
    return 8 * _EPS * large


def _slope(e: Epilogue, tensors: Mapping[str, Array]) -> Array:
    """The factor by which an epilogue without an input scale enlarges a difference."""
    slope: Array = np.ones(1)
    if e.scale is not None:
        slope = slope * np.abs(tensors[e.scale].astype(np.float64))
    if e.norm is not None:
        slope = slope * np.abs(tensors[e.norm[0]].astype(np.float64))
    for bend in e.bends:
        if isinstance(bend, Prelu):
            slope = slope * _steepest(bend, tensors)
    return slope if e.input_scale is None and e.gate is None else slope * np.inf


def _steepest(bend: Prelu, tensors: Mapping[str, Array]) -> Array:
    """The larger of the two slopes."""
    above: Array = np.ones(1) if bend.positive is None else tensors[bend.positive].astype(np.float64)
    return np.asarray(np.maximum(np.abs(tensors[bend.negative].astype(np.float64)), np.abs(above)))
