"""Networks drawn for binary layers: plain signs without factors."""

from __future__ import annotations

from typing import Any

from rows.first import ENDS_AND_SHORTCUTS_REAL


def clipped(bound: float) -> dict[str, Any]:
    """Larq Zoo: SteSign and WeightClip with one bound, Glorot-normal kernels."""
    return ENDS_AND_SHORTCUTS_REAL | {
        "weight.quantizer.name": "sign",
        "weight.gradient": "detached",
        "weight.estimator.name": "clip",
        "weight.estimator.bound": bound,
        "activation.quantizer.name": "sign",
        "activation.estimator.bound": bound,
        "latent.init": "glorot_normal",
        "latent.clip": bound,
        "block.shortcut": "per_conv",
        "block.downsample": "avgpool_conv",
        "block.post_add_activation": "none",
    }


CHANGES: dict[str, dict[str, Any]] = {
    "resnete18": clipped(1.25),
    "binarydensenet28": clipped(1.3),
    "meliusnet22": clipped(1.3),
    "quicknet": clipped(1.25) | {"padding": 1},
}
