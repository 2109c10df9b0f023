"""Every row of the method table against its paper: what it changes about the real-valued twin."""

from typing import Any

import pytest

from bnn_train.spec.methods import METHODS

REAL = {  # the twin: plain networks of real layers
    "weight.pre.name": "none",
    "weight.quantizer.name": "none",
    "weight.scale.name": "none",
    "weight.granularity": "channel",
    "weight.gradient": "identity",
    "weight.estimator.name": "clip_open",
    "weight.gain": "none",
    "weight.evaluate": "binary",
    "activation.pre.name": "none",
    "activation.quantizer.name": "none",
    "activation.estimator.name": "clip",
    "output_scale.name": "none",
    "latent.init": "he_out",
    "latent.clip": None,
    "latent.center": False,
    "latent.lr_scale": "none",
    "scope.real": (),
    "block.order": "conv-bn-act-pool",
    "block.shortcut": "per_block",
    "block.downsample": "conv",
    "block.post_add_activation": "relu",
    "block.output_norm": False,
    "block.product_relu": False,
    "block.before_last": "norm_relu",
    "norm.kind": "batch",
    "norm.eps": 1e-5,
    "norm.momentum": 0.1,
    "norm.gamma": "ones",
    "norm.reestimate": False,
    "padding": 0,
}

# BinaryConnect's and BinaryNet's code: U(−1, 1), clipped to ±1, Glorot-scaled rates, every layer binary,
# pooling before the norm, a norm after the last layer, ε 1e-4.
_BC = {
    "weight.quantizer.name": "sign",
    "latent.init": "uniform",
    "latent.clip": 1.0,
    "latent.lr_scale": "glorot",
    "block.order": "conv-pool-bn-act",
    "block.output_norm": True,
    "norm.eps": 1e-4,
}
_BNN = _BC | {"activation.quantizer.name": "sign", "block.post_add_activation": "hardtanh"}

# XNOR-Net's util.lua: α per filter, its gradient, centred over the input channels and clipped; ends real.
_BWN = {
    "weight.quantizer.name": "sign",
    "weight.scale.name": "l1",
    "weight.gradient": "official",
    "latent.init": "he_in",
    "latent.clip": 1.0,
    "latent.center": True,
    "scope.real": ("first", "last"),
}
_XNOR = _BWN | {
    "activation.quantizer.name": "sign",
    "activation.estimator.name": "clip_open",  # BinActiveZ: no gradient at |x| ≥ 1
    "block.order": "bn-act-conv-pool",
    "block.post_add_activation": "none",
    "norm.eps": 1e-4,
}
_ENDS_AND_SHORTCUTS_REAL = {"scope.real": ("first", "downsample", "last")}

_EDE = [("from", 1e-3), ("to", 10.0), ("curve", "exponential"), ("over", None), ("per", "epoch")]

CHANGES: dict[str, dict[str, Any]] = {
    "fp": {},
    "bc": _BC,
    "bc_stochastic": _BC
    | {"weight.quantizer.name": "stochastic_sign", "weight.evaluate": "latent", "norm.reestimate": True},
    "bnn": _BNN,
    "bnn_stochastic": _BNN | {"activation.quantizer.name": "stochastic_sign"},
    "bwn": _BWN | {"norm.eps": 1e-3},
    "xnor": _XNOR,
    "xnor_k": _XNOR | {"output_scale.name": "xnor_k"},
    "twn": {
        "weight.quantizer.name": "ternary",
        "weight.quantizer.threshold": 0.75,  # TWN's authors' code per filter; 0.7 in their first paper
        "weight.scale.name": "l1_masked",
    },
    "dorefa": _ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.quantizer.name": "sign",
        "weight.scale.name": "l1",
        "weight.granularity": "layer",
        "activation.quantizer.name": "uniform",
        "activation.quantizer.bits": 2,
        "activation.estimator.name": "unit",
    },
    "pact": _ENDS_AND_SHORTCUTS_REAL
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
    "bireal": _ENDS_AND_SHORTCUTS_REAL
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
    "irnet": _ENDS_AND_SHORTCUTS_REAL
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


def facts(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    inner = (facts(v, f"{prefix}.{key}" if prefix else key) for key, v in value.items())
    return {key: fact for part in inner for key, fact in part.items()}


@pytest.mark.parametrize("name", sorted(METHODS.keys() | CHANGES.keys()))
def test_row(name: str) -> None:
    row = METHODS[name].model_dump()
    assert row.pop("name") == name
    assert row.pop("paper")
    assert facts(row) == REAL | CHANGES[name]
