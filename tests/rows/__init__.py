"""What each row of the table of methods changes about the real-valued twin, written down a second time from
its paper. A file here that has ``CHANGES`` is part of it by being here."""

from __future__ import annotations

from pkgutil import iter_modules, resolve_name
from typing import Any

REAL = {  # the twin: plain networks of real layers
    "weight.pre.name": "none",
    "weight.quantizer.name": "none",
    "weight.scale.name": "none",
    "weight.granularity": "channel",
    "weight.gradient": "identity",
    "weight.estimator.name": "clip_open",
    "weight.gain": "none",
    "weight.evaluate": "binary",
    "weight.progress.name": "at_once",
    "activation.pre.name": "none",
    "activation.quantizer.name": "none",
    "activation.estimator.name": "clip",
    "output_scale.name": "none",
    "latent.init": "he_out",
    "latent.clip": None,
    "latent.clip_all": False,
    "latent.center": False,
    "latent.lr_scale": "none",
    "scope.real": (),
    "block.order": "conv-bn-act-pool",
    "block.shortcut": "per_block",
    "block.downsample": "conv",
    "block.post_add_activation": "relu",
    "block.conv_activation": "none",
    "block.stem_activation": True,
    "block.branches": 1,
    "block.output_norm": False,
    "block.product_relu": False,
    "block.before_last": "norm_relu",
    "norm.kind": "batch",
    "norm.eps": 1e-5,
    "norm.momentum": 0.1,
    "norm.gamma": "ones",
    "norm.affine": True,
    "norm.reestimate": False,
    "output_gradient.name": "none",
    "padding": 0,
}


def changes() -> dict[str, dict[str, Any]]:
    """By method, the facts that are other than in ``REAL``."""
    found: dict[str, dict[str, Any]] = {}
    for module in iter_modules(__path__):
        found |= resolve_name(f"{__name__}.{module.name}").CHANGES
    return found
