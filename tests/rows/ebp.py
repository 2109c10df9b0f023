"""Expectation Backpropagation."""

from __future__ import annotations

from typing import Any

CHANGES: dict[str, dict[str, Any]] = {
    "ebp": {
        "weight.quantizer.name": "expected_sign",
        "weight.quantizer.curve": "tanh",
        "activation.quantizer.name": "expected_sign",
        "activation.quantizer.curve": "normal",
        "activation.estimator.name": "identity",
        "output_scale.name": "expected_deviation",
        "latent.init": "uniform",
        "norm.kind": "none",
    },
}
