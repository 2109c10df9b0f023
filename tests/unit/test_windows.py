"""Gradients of windows at their very ends, and the functions that have them for derivatives."""

from __future__ import annotations

import math

import pytest
import torch

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.spec import estimators as spec

TINY = 2.0**-149
"""The least float32 above 0."""
ENDS: list[tuple[spec.Estimator, dict[float, int]]] = [
    (spec.Clip(), {-1.0: 1, 1.0: 1, 1 + 2**-23: 0, -1 - 2**-23: 0}),
    (spec.Clip(bound=1.25), {1.25: 1, 1.25 + 2**-23: 0}),
    (spec.ClipOpen(), {-1.0: 0, 1.0: 0, 1 - 2**-24: 1}),
    (spec.Unit(), {-0.0: 1, -TINY: 0, 1.0: 1, 1 + 2**-23: 0}),
    (spec.ReluClip(top=1.5), {0.0: 0, TINY: 1, 1.5: 1, 1.5 + 2**-23: 0}),
    (spec.PositiveWindow(end=2.0), {0.0: 0, TINY: 1, 2.0: 0, 2 - 2**-23: 1}),
]


@pytest.mark.parametrize(("options", "slopes"), ENDS, ids=lambda one: getattr(one, "name", ""))
def test_ends(options: spec.Estimator, slopes: dict[float, int]) -> None:
    estimator = ESTIMATORS.build(options)
    x0 = torch.tensor([*slopes, -math.inf, math.inf, math.nan])
    wanted = [*slopes.values(), 0, 0, 0]
    assert estimator.slope(torch.ones_like(x0), x0).tolist() == wanted
    finite = x0[: len(slopes)]
    x = finite.clone().requires_grad_()
    estimator.piece(x, finite).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == wanted[: len(slopes)]
    assert estimator.masks
