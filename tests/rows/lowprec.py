"""Low-precision multiplications, and codebooks."""

from __future__ import annotations

from typing import Any

_SHARED = {"dynamic": True, "every": 100, "overflow": 1e-4, "bits": 9}  # CIFAR10 DFXP 5 9 11 100 0.0001
_NUMBER = {"name": "fixed_point", "exponent": None, "update_bits": 11, **_SHARED}
_GRADIENT = {"name": "fixed_point_gradient", "exponent": None, **_SHARED}

CHANGES: dict[str, dict[str, Any]] = {
    "lowprec": {
        "weight.gradient": "detached",
        **{f"{side}.quantizer.{key}": v for side in ("weight", "activation") for key, v in _NUMBER.items()},
        **{f"{side}.estimator.{key}": v for side in ("weight", "activation") for key, v in _GRADIENT.items()},
    },
    "qcnn": {
        "weight.quantizer.name": "codebook",
        "weight.quantizer.channels": 8,
        "weight.quantizer.words": 128,
        "weight.quantizer.dense_channels": 4,
        "weight.quantizer.dense_words": 32,
        "weight.quantizer.sweeps": 2,
        "scope.real": ("last",),
    },
}
