"""Sampled connections."""

from __future__ import annotations

from typing import Any

CHANGES: dict[str, dict[str, Any]] = {
    "tea": {
        "weight.quantizer.name": "sampled",
        "weight.quantizer.form": "sampled",
        "weight.quantizer.seed": 0,
        "activation.quantizer.name": "spike",
        "activation.quantizer.curve": "normal",
        "activation.estimator.name": "identity",
        "output_scale.name": "deviation",
        "latent.init": "connections",
        "block.output_norm": True,
        "norm.kind": "none",
        "norm.reestimate": True,
    },
}
