"""The rows that the table began with."""

from __future__ import annotations

from typing import Any

# BinaryConnect's and BinaryNet's code: U(−1, 1), clipped to ±1, Glorot-scaled rates, every layer binary,
# pooling before the norm, a norm after the last layer, ε 1e-4.
BC = {
    "weight.quantizer.name": "sign",
    "latent.init": "uniform",
    "latent.clip": 1.0,
    "latent.lr_scale": "glorot",
    "block.order": "conv-pool-bn-act",
    "block.output_norm": True,
    "norm.eps": 1e-4,
}
BNN = BC | {"activation.quantizer.name": "sign", "block.post_add_activation": "hardtanh"}

# XNOR-Net's util.lua: α per filter, its gradient, centred over the input channels and clipped; ends real.
BWN = {
    "weight.quantizer.name": "sign",
    "weight.scale.name": "l1",
    "weight.gradient": "official",
    "latent.init": "he_in",
    "latent.clip": 1.0,
    "latent.center": True,
    "scope.real": ("first", "last"),
}
XNOR = BWN | {
    "activation.quantizer.name": "sign",
    "activation.estimator.name": "clip_open",  # BinActiveZ: no gradient at |x| ≥ 1
    "block.order": "bn-act-conv-pool",
    "block.post_add_activation": "none",
    "norm.eps": 1e-4,
}
ENDS_AND_SHORTCUTS_REAL = {"scope.real": ("first", "downsample", "last")}

_EDE = [("from", 1e-3), ("to", 10.0), ("curve", "exponential"), ("over", None), ("per", "epoch")]

CHANGES: dict[str, dict[str, Any]] = {
    "fp": {},
    "bc": BC,
    "bc_stochastic": BC
    | {"weight.quantizer.name": "stochastic_sign", "weight.evaluate": "latent", "norm.reestimate": True},
    "bnn": BNN,
    "bnn_stochastic": BNN | {"activation.quantizer.name": "stochastic_sign"},
    "bwn": BWN | {"norm.eps": 1e-3},
    "xnor": XNOR,
    "xnor_k": XNOR | {"output_scale.name": "xnor_k"},
    "twn": {
        "weight.quantizer.name": "ternary",
        "weight.quantizer.threshold": 0.75,  # TWN's authors' code per filter; 0.7 in their first paper
        "weight.quantizer.fixed": None,
        "weight.scale.name": "l1_masked",
    },
    "dorefa": ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.quantizer.name": "sign",
        "weight.scale.name": "l1",
        "weight.granularity": "layer",
        "activation.quantizer.name": "uniform",
        "activation.quantizer.bits": 2,
        "activation.estimator.name": "unit",
    },
    "pact": ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.quantizer.name": "sign",
        "weight.scale.name": "l1",
        "weight.granularity": "layer",
        "activation.quantizer.name": "uniform",
        "activation.quantizer.bits": 2,
        "activation.estimator.name": "identity",
        "activation.pre.name": "pact",
        "activation.pre.start": 8.0,
        "activation.pre.rate": 1.0,
        "activation.pre.weight_decay": 2e-4,
    },
    "bireal": ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.quantizer.name": "sign",
        "weight.scale.name": "l1",
        "weight.gradient": "detached",
        "weight.estimator.name": "clip",
        "activation.quantizer.name": "sign",
        "activation.estimator.name": "approx_sign",
        "latent.clip": 1.0,
        "block.shortcut": "per_conv",
        "block.downsample": "avgpool_conv",
        "block.post_add_activation": "none",
    },
    "irnet": ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.pre.name": "standardize",
        "weight.quantizer.name": "sign",
        "weight.scale.name": "pow2",
        "weight.gradient": "detached",
        **{f"{side}.estimator.name": "tanh_ede" for side in ("weight", "activation")},
        **{f"{side}.estimator.t.{key}": value for side in ("weight", "activation") for key, value in _EDE},
        "activation.quantizer.name": "sign",
        "block.shortcut": "per_conv",
        "block.post_add_activation": "hardtanh",
    },
    "abcnet": {
        "weight.quantizer.name": "shifted_signs",
        "weight.quantizer.bases": 3,
        "weight.granularity": "layer",
        "weight.gradient": "detached",
        "weight.estimator.name": "identity",
        "activation.quantizer.name": "learned_signs",
        "activation.quantizer.bases": 3,
        "activation.estimator.name": "unit",
        "scope.real": ("first", "last"),
        "block.order": "conv-pool-bn-act",
        "block.post_add_activation": "none",
    },
    "bop": {
        "weight.quantizer.name": "stored",
        "activation.quantizer.name": "sign",
        "latent.init": "sign",
        "block.order": "conv-pool-bn-act",
        "block.output_norm": True,
        "block.post_add_activation": "hardtanh",
        "norm.eps": 1e-4,
    },
}
