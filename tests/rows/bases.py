"""What least squares quantization, HORQ, LQ-Nets and ReBNet change."""

from __future__ import annotations

from typing import Any

from rows.first import XNOR

LS1 = {
    "weight.quantizer.name": "sign",
    "weight.scale.name": "l1",
    "weight.gradient": "detached",
    "weight.estimator.name": "clip",
    "activation.pre.name": "clamp",
    "activation.pre.limit": 2.0,  # 3 for ImageNet
    "activation.quantizer.name": "greedy",
    "activation.quantizer.bases": 1,
    "activation.quantizer.stat": "ema",
    "activation.quantizer.momentum": 0.99,
    "scope.real": ("first", "downsample", "last"),  # the authors' shortcuts are real
    "block.order": "bn-act-conv-pool",
    "block.shortcut": "per_conv",
    "block.post_add_activation": "none",  # the ReLU stands behind the convolution
    "block.product_relu": True,
}
GREEDY = {
    "activation.quantizer.name": "greedy",
    "activation.quantizer.bases": 2,
    "activation.quantizer.momentum": 0.99,
}
_SEARCHED = {key: value for key, value in LS1.items() if key != "activation.quantizer.bases"} | {
    "activation.quantizer.skip": 1
}

CHANGES: dict[str, dict[str, Any]] = {
    "ls1": LS1,
    "ls2": _SEARCHED | {"activation.quantizer.name": "least_squares"},
    "lst": _SEARCHED | {"activation.quantizer.name": "least_squares_ternary"},
    "gf2": LS1 | {"activation.quantizer.bases": 2},
    "horq": XNOR | GREEDY | {"activation.quantizer.stat": "column"},
    "lqnets": {
        "weight.quantizer.name": "levels",
        "weight.quantizer.bases": 2,
        "weight.quantizer.momentum": 0.9,
        "weight.estimator.name": "identity",
        "activation.pre.name": "relu",
        "activation.quantizer.name": "unsigned_levels",
        "activation.quantizer.bases": 2,
        "activation.quantizer.momentum": 0.9,
        "activation.estimator.name": "identity",
        "scope.real": ("first", "last"),
    },
    "rebnet": {
        "weight.quantizer.name": "sign",
        "weight.scale.name": "learned_magnitude",
        "weight.granularity": "layer",
        "weight.gradient": "detached",
        "weight.estimator.name": "clip",
        "activation.quantizer.name": "residual_signs",
        "activation.quantizer.bases": 2,
        "latent.init": "glorot",
        "block.post_add_activation": "none",
        "block.output_norm": True,
    },
}
