"""CBCN: the authors' ORConv."""

from __future__ import annotations

from typing import Any

from rows.first import ENDS_AND_SHORTCUTS_REAL

CHANGES: dict[str, dict[str, Any]] = {
    "cbcn": ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.pre.name": "circulant",
        "weight.pre.copies": 4,
        "weight.quantizer.name": "sign",
        "weight.scale.name": "l1",
        "weight.granularity": "layer",
        "weight.gradient": "exact",
        "weight.estimator.name": "approx_sign",
        "activation.quantizer.name": "sign",
        "activation.estimator.name": "approx_sign",
        "latent.init": "he_in",
        "block.order": "bn-act-conv-pool",
        "block.shortcut": "per_conv",
        "block.downsample": "avgpool_conv",
        "block.post_add_activation": "prelu",
    }
}
