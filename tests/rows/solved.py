"""Rows that solve for their weights."""

from __future__ import annotations

from typing import Any

CHANGES: dict[str, dict[str, Any]] = {
    "bwnh": {
        "weight.quantizer.name": "solved_sign",
        "weight.quantizer.sweeps": 10,
        "weight.scale.name": "l1",
        "scope.real": ("first", "last"),
    },
    "tsq": {
        "weight.quantizer.name": "optimal_ternary",
        "weight.quantizer.solve": True,
        "weight.quantizer.sweeps": 10,
        "weight.scale.name": "l1_masked",
        "activation.quantizer.name": "sparse_half_wave",
        "activation.quantizer.threshold": 0.32,
        "activation.quantizer.step": 0.6487,  # the authors' relu2b_layer.cpp
        "activation.estimator.name": "positive_window",
        "activation.estimator.end": 3 * 0.6487,
        "scope.real": ("first", "last"),
        "block.order": "conv-pool-bn-act",
        "norm.affine": False,
    },
    "ternary_residual": {
        "weight.quantizer.name": "ternary_residual",
        "weight.quantizer.terms": 3,
        "weight.quantizer.budget": 2.0,
        "weight.quantizer.block": None,
        "activation.pre.name": "measured",
        "activation.quantizer.name": "uniform",
        "activation.quantizer.bits": 8,
        "activation.estimator.name": "identity",
        "scope.real": ("first",),
    },
}
