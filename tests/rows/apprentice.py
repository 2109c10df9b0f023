"""Apprentice and DBNN: the students' axes."""

from __future__ import annotations

from typing import Any

ENDS = {"scope.real": ("first", "last")}

CHANGES: dict[str, dict[str, Any]] = {
    "apprentice": ENDS
    | {
        "weight.quantizer.name": "ternary",
        "weight.quantizer.threshold": 0.75,
        "weight.quantizer.fixed": None,
        "weight.scale.name": "l1_masked",
        "activation.quantizer.name": "uniform",
        "activation.quantizer.bits": 8,
        "activation.estimator.name": "unit",
    },
    "dbnn": ENDS
    | {
        "weight.quantizer.name": "sign",
        "activation.quantizer.name": "sign",
        "latent.init": "uniform",
        "latent.clip": 1.0,
        "block.post_add_activation": "hardtanh",
    },
}
