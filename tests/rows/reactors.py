"""What ReActNet, XNOR-Net++, Real-to-Binary and Group-Net change."""

from __future__ import annotations

from typing import Any

from rows.first import ENDS_AND_SHORTCUTS_REAL

REACTNET = ENDS_AND_SHORTCUTS_REAL | {
    "weight.quantizer.name": "sign",
    "weight.scale.name": "l1",
    "weight.gradient": "unscaled",  # the authors' code: α is detached and absent from the clipped weights
    "weight.estimator.name": "clip",
    "activation.pre.name": "shift",
    "activation.pre.rate": 1.0,
    "activation.pre.weight_decay": None,  # that of the stage
    "activation.quantizer.name": "sign",
    "activation.estimator.name": "approx_sign",
    "latent.init": "uniform_0001",
    "block.shortcut": "per_conv",
    "block.downsample": "avgpool_conv",
    "block.post_add_activation": "rprelu",
    "block.stem_activation": False,
}

CHANGES: dict[str, dict[str, Any]] = {
    "reactnet": REACTNET,
    "reactnet_a": REACTNET,
    "xnorpp": {
        "weight.quantizer.name": "sign",
        "weight.gradient": "detached",
        "weight.estimator.name": "clip",
        "activation.quantizer.name": "sign",
        "latent.init": "he_in",
        "latent.clip": 1.0,
        "scope.real": ("first", "last"),
        "block.order": "bn-act-conv-pool",
        "block.post_add_activation": "none",
        "output_scale.name": "factored",
        "output_scale.over": "channel_row_column",  # case 4
    },
    "real_to_binary": ENDS_AND_SHORTCUTS_REAL
    | {
        "weight.quantizer.name": "sign",
        "weight.gradient": "detached",
        "weight.estimator.name": "clip",
        "activation.quantizer.name": "sign",
        "latent.clip": 1.0,
        "block.order": "bn-act-conv-pool",
        "block.shortcut": "per_conv",
        "block.downsample": "avgpool_conv",
        "block.post_add_activation": "none",
        "block.conv_activation": "prelu",
        "block.before_last": "none",
        "output_scale.name": "gate",
        "output_scale.reduction": 8,
    },
    "groupnet": {
        "weight.quantizer.name": "sign",
        "weight.scale.name": "l1",
        "weight.granularity": "layer",
        "activation.quantizer.name": "sign",
        "activation.estimator.name": "approx_sign",
        "scope.real": ("first", "last"),
        "block.shortcut": "per_conv",
        "block.post_add_activation": "none",
        "block.conv_activation": "relu",
        "block.stem_activation": False,
        "block.branches": 5,
        "padding": 1,
    },
}
