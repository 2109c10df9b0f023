"""Thresholds behind whole sums, as limits of the sums themselves.

Scale, bias, norm, ReLU and hardtanh only ever rise or only ever fall, channel by channel, and so do their
roundings: whether a number passes changes once along the sums. Where it does is found by bisection with the
reference's own arithmetic, so that the bits are the same for every sum, and no real number is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.c.products import WHOLE, kind_of
from bnn_train.packed.facts import Facts
from bnn_train.packed.program import Conv, Epilogue, Program, Step, Thresholds
from bnn_train.packed.reference.epilogue import epilogue
from bnn_train.packed.tensor_rules import product_bound

Array = NDArray[Any]
_MOST = 2**30
_MONOTONE = {"none", "relu", "hardtanh"}


def in_whole_numbers(program: Program, tensors: Mapping[str, Array]) -> tuple[Program, dict[str, Array]]:
    """The same network, every comparison that can be one of whole numbers made one."""
    found = dict(tensors)
    steps = tuple(_rewritten(i, step, program, found) for i, step in enumerate(program.steps))
    return program.model_copy(update={"steps": steps}), found


def _rewritten(i: int, step: Step, program: Program, tensors: dict[str, Array]) -> Step:
    if not isinstance(step, Conv) or not _fits(step, program, tensors) or step.thresholds is None:
        return step
    rule = step.thresholds
    bound = product_bound(step, program.values[step.input], Facts(tensors))
    if bound >= _MOST:
        return step
    limits = tensors[rule.tensor]
    falls = tensors[rule.flip] if rule.flip is not None else np.zeros(limits.shape[1], np.uint8)
    try:
        whole, flip = _bisected(step.epilogue, tensors, limits, falls.astype(np.bool_), bound)
    except OverflowError:
        return step
    names = f"whole_{i}_limits", f"whole_{i}_flip"
    tensors[names[0]], tensors[names[1]] = whole, flip
    return step.model_copy(
        update={"epilogue": Epilogue(), "thresholds": Thresholds(tensor=names[0], flip=names[1])}
    )


def _fits(step: Conv, program: Program, tensors: Mapping[str, Array]) -> bool:
    e, rule = step.epilogue, step.thresholds
    if rule is None or step.output is not None or tensors[rule.tensor].dtype != np.float32:
        return False
    if any(v is not None for v in (e.input_scale, e.gate, e.residual)):
        return False
    if not all(isinstance(bend, str) and bend in _MONOTONE for bend in e.bends):
        return False
    return kind_of(step, program.values[step.input], tensors) in WHOLE and (
        e.bias is None or len(tensors[e.bias]) == 1
    )


def _bisected(
    e: Epilogue, tensors: Mapping[str, Array], limits: Array, falls: Array, bound: int
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """int32 L×O and the channels that fail above them. Raises OverflowError where sums leave float32."""

    def real(sums: Array, bends: bool = True) -> Array:
        plain = e if bends else e.model_copy(update={"activation": "none", "stream": "none"})
        y = sums.astype(np.int64)[None, None, None, :]
        with np.errstate(all="ignore"):
            return np.asarray(epilogue(y, plain, tensors, {}, np.zeros((1, 1), np.int64))[0, 0, 0])

    channels = limits.shape[1]
    ends = [real(np.full(channels, sign * bound), bends=False) for sign in (-1, 1)]
    if not np.isfinite(ends).all():
        raise OverflowError
    rises = ends[1] >= ends[0]
    fails_above = rises == falls  # of a number that rises with the sum, and fails above its threshold
    found = np.empty(limits.shape, np.int32)
    for row, limit in enumerate(limits):
        low = np.where(fails_above, -bound - 1, -bound).astype(np.int64)
        high = np.where(fails_above, bound, bound + 1).astype(np.int64)
        while (low < high).any():
            middle = (low + high + fails_above) >> 1
            y = real(np.clip(middle, -bound, bound))
            passes = ~np.where(falls, y > limit, y < limit)
            left = low < high
            rising = left & (passes == fails_above)
            low = np.where(rising, np.where(fails_above, middle, middle + 1), low)
            high = np.where(left & ~rising, np.where(fails_above, middle - 1, middle), high)
        found[row] = low
    return found, fails_above.astype(np.uint8)
