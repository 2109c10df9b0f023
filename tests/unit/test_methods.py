"""Every row of the method table against its paper: what it changes about the real-valued twin."""

from typing import Any

import pytest

from bnn_train.spec.methods import METHODS

REAL = {  # the twin: plain networks of real layers
    "weight.quantizer": "none",
    "weight.scale.kind": "none",
    "weight.scale.granularity": "channel",
    "weight.gradient": "identity",
    "weight.estimator": "clip_open",
    "weight.gain": "none",
    "weight.threshold": 0.75,  # TWN's authors' code per filter; 0.7 in their first paper
    "weight.evaluate": "binary",
    "activation.quantizer": "none",
    "activation.bits": 1,
    "activation.estimator": "clip",
    "activation.scale": "none",
    "latent.init": "he_out",
    "latent.clip": None,
    "latent.center": False,
    "latent.lr_scale": "none",
    "scope.real": (),
    "block.order": "conv-bn-act-pool",
    "block.shortcut": "per_block",
    "block.downsample": "conv",
    "block.stream": "relu",
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
    "weight.quantizer": "sign",
    "latent.init": "uniform",
    "latent.clip": 1.0,
    "latent.lr_scale": "glorot",
    "block.order": "conv-pool-bn-act",
    "block.output_norm": True,
    "norm.eps": 1e-4,
}
_BNN = _BC | {"activation.quantizer": "sign", "block.stream": "hardtanh"}

# XNOR-Net's util.lua: α per filter, its gradient, centred over the input channels and clipped; ends real.
_BWN = {
    "weight.quantizer": "sign",
    "weight.scale.kind": "l1",
    "weight.gradient": "official",
    "latent.init": "he_in",
    "latent.clip": 1.0,
    "latent.center": True,
    "scope.real": ("first", "last"),
}
_XNOR = _BWN | {
    "activation.quantizer": "sign",
    "activation.estimator": "clip_open",  # BinActiveZ: no gradient at |x| ≥ 1
    "block.order": "bn-act-conv-pool",
    "block.stream": "none",
    "norm.eps": 1e-4,
}
_ENDS_AND_SHORTCUTS_REAL = {"scope.real": ("first", "downsample", "last")}

CHANGES: dict[str, dict[str, Any]] = {
    "fp": {},
    "bc": _BC,
    "bc_stochastic": _BC
    | {"weight.quantizer": "stochastic_sign", "weight.evaluate": "latent", "norm.reestimate": True},
    "bnn": _BNN,
    "bnn_stochastic": _BNN | {"activation.quantizer": "stochastic_sign"},
    "bwn": _BWN | {"norm.eps": 1e-3},
    "xnor": _XNOR,
    "xnor_k": _XNOR | {"activation.scale": "xnor_k"},
    "twn": {"weight.quantizer": "ternary", "weight.scale.kind": "l1_masked"},
    "dorefa": _ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.quantizer": "sign",
        "weight.scale.kind": "l1",
        "weight.scale.granularity": "layer",
        "activation.quantizer": "uniform",
        "activation.bits": 2,
        "activation.estimator": "unit",
    },
    "bireal": _ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.quantizer": "sign",
        "weight.scale.kind": "l1",
        "weight.gradient": "detached",
        "weight.estimator": "clip",
        "activation.quantizer": "sign",
        "activation.estimator": "approx_sign",
        "latent.clip": 1.0,
        "block.shortcut": "per_conv",
        "block.downsample": "avgpool_conv",
        "block.stream": "none",
    },
    "bop": {
        "weight.quantizer": "stored",
        "activation.quantizer": "sign",
        "latent.init": "sign",
        "block.order": "conv-pool-bn-act",
        "block.output_norm": True,
        "block.stream": "hardtanh",
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
