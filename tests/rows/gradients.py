"""The rows of gradient estimators, curvature, ReCU, Eedn and the networks of tanh."""

from __future__ import annotations

from typing import Any

from rows.first import BC, BNN, ENDS_AND_SHORTCUTS_REAL


def both(**values: Any) -> dict[str, Any]:
    """The same on weights and activations; two underscores stand for a dot."""
    pairs = {key.replace("__", "."): value for key, value in values.items()}
    return {f"{side}.{key}": value for side in ("weight", "activation") for key, value in pairs.items()}


def curve(key: str, begin: float, to: float, kind: str) -> dict[str, Any]:
    """The facts of an annealed number over the whole run, by epochs."""
    values = {"from": begin, "to": to, "curve": kind, "over": None, "per": "epoch"}
    return {f"{key}.{name}": value for name, value in values.items()}


def _curves(key: str, *values: Any) -> dict[str, Any]:
    return curve(f"weight.{key}", *values) | curve(f"activation.{key}", *values)


_BNN_NETWORK = {key: value for key, value in BNN.items() if key.startswith(("block", "norm"))} | {
    "latent.init": "uniform",
    "latent.lr_scale": "glorot",
}
_SIGNS = both(quantizer__name="sign")

CHANGES: dict[str, dict[str, Any]] = {
    "bnnplus": ENDS_AND_SHORTCUTS_REAL
    | _SIGNS
    | both(estimator__name="swish", estimator__beta=5.0)
    | {
        "weight.scale.name": "learned",
        "weight.gradient": "detached",
        "latent.clip": 1.0,
        "block.post_add_activation": "hardtanh",
    },
    "reste": ENDS_AND_SHORTCUTS_REAL
    | _SIGNS
    | both(estimator__name="reste", estimator__flat=0.1, estimator__cut=1.5)
    | _curves("estimator.o", 1.0, 3.0, "quarter_wave")
    | {
        "weight.scale.name": "l1",
        "weight.granularity": "layer",  # a scalar for the layer, and not detached
        "weight.gradient": "exact",
        "block.post_add_activation": "none",
    },
    "recu": ENDS_AND_SHORTCUTS_REAL
    | _SIGNS
    | curve("weight.pre.tau", 0.85, 0.99, "exponential_rise")
    | {
        "weight.pre.name": "rectified_clamp",
        "weight.scale.name": "learned_uniform",
        "weight.gradient": "detached",  # α times the plain straight-through estimator's
        "weight.estimator.name": "identity",
        "activation.pre.name": "sample_deviation",
        "activation.estimator.name": "approx_sign",
        "block.shortcut": "per_conv",
        "block.downsample": "avgpool_conv",
        "block.post_add_activation": "hardtanh",
    },
    "self_binarizing": _BNN_NETWORK
    | both(pre__name="tanh", quantizer__name="late_sign", estimator__name="identity")
    | _curves("pre.nu", 1.0, 1000.0, "exponential")
    | {"weight.gradient": "detached"},
    "lab": BC
    | {
        "weight.scale.name": "curvature",
        "weight.granularity": "layer",
        "latent.init": "glorot",
        "latent.lr_scale": "none",
    },
    "eedn": {
        "weight.quantizer.name": "hysteresis",
        "weight.quantizer.band": 0.1,
        "activation.quantizer.name": "heaviside",
        "activation.estimator.name": "triangle",
        "latent.init": "uniform",
        "latent.clip": 1.0,
        "latent.lr_scale": "glorot",
        "block.output_norm": True,
        "block.post_add_activation": "none",
    },
    "bitwise": _BNN_NETWORK | _SIGNS | {"activation.estimator.name": "identity"},
}
