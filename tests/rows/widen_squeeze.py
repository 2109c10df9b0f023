"""Widening and Squeezing."""

from __future__ import annotations

from typing import Any

from rows.first import ENDS_AND_SHORTCUTS_REAL

CHANGES: dict[str, dict[str, Any]] = {
    "widen_squeeze": ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.quantizer.name": "sign",
        "activation.quantizer.name": "gated_sign",
        "activation.quantizer.threshold": 0.5,
        "activation.quantizer.rate": 5.0,
        "activation.quantizer.learns": True,
        "latent.init": "uniform",
        "latent.clip": 1.0,
        "latent.lr_scale": "glorot",
        "block.order": "bn-act-conv-pool",
        "block.post_add_activation": "none",
    }
}
