"""What rows with weight quantizers of their own change."""

from __future__ import annotations

from typing import Any

from rows.first import ENDS_AND_SHORTCUTS_REAL

_EDE = [("from", 1e-3), ("to", 10.0), ("curve", "exponential"), ("over", None), ("per", "epoch")]

CHANGES: dict[str, dict[str, Any]] = {
    "ttq": {
        "weight.quantizer.name": "trained_ternary",
        "weight.quantizer.threshold": 0.05,
        "weight.granularity": "layer",
        "scope.real": ("first", "last"),
    },
    "hwgq": ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.quantizer.name": "sign",
        "weight.scale.name": "l1",
        "activation.quantizer.name": "half_wave",
        "activation.quantizer.bits": 2,
        "activation.quantizer.step": 0.538,
        "activation.estimator.name": "relu_clip",
        "activation.estimator.top": 1.614,
        "block.order": "conv-pool-bn-act",
        "norm.affine": False,
    },
    "wrpn": ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.pre.name": "clip",
        "weight.quantizer.name": "symmetric_uniform",
        "weight.quantizer.bits": 2,
        "weight.granularity": "layer",
        "activation.quantizer.name": "uniform",
        "activation.quantizer.bits": 2,
        "activation.estimator.name": "unit",
        "latent.init": "uniform",
        "latent.clip": 1.0,
        "latent.lr_scale": "glorot",
    },
    "adabin": ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.quantizer.name": "measured_pair",
        "weight.estimator.name": "tanh_ede",
        **{f"weight.estimator.t.{key}": value for key, value in _EDE},
        "activation.quantizer.name": "learned_pair",
        "activation.quantizer.center": "code",
        "activation.estimator.name": "approx_sign",
        "block.shortcut": "per_conv",
        "block.downsample": "avgpool_conv",
        "block.post_add_activation": "maxout",
    },
    "dsq": ENDS_AND_SHORTCUTS_REAL
    | {
        **{f"{side}.quantizer.name": "soft_steps" for side in ("weight", "activation")},
        **{f"{side}.quantizer.bits": 1 for side in ("weight", "activation")},
        **{f"{side}.quantizer.softness": 0.2 for side in ("weight", "activation")},
        "weight.granularity": "layer",
        "activation.estimator.name": "identity",
    },
}
