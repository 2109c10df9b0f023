"""FleBin and INQ: what is quantized when."""

from __future__ import annotations

from typing import Any

CHANGES: dict[str, dict[str, Any]] = {
    "flebin": {  # Binary-Weight-Networks without their latent rules, in every layer
        "weight.quantizer.name": "sign",
        "weight.scale.name": "l1",
        "weight.gradient": "official",
        "weight.progress.name": "by_layer",
        "weight.progress.stop_after": None,
        **{
            f"weight.progress.share.{key}": value
            for key, value in [
                ("from", 0.0),
                ("to", 1.25),
                ("curve", "linear"),
                ("over", None),
                ("per", "epoch"),
            ]
        },
        "latent.init": "he_in",
    },
    "inq": {
        "weight.quantizer.name": "powers",
        "weight.quantizer.bits": 5,
        "weight.scale.name": "max_pow2",
        "weight.granularity": "layer",
        "weight.progress.name": "by_fraction",
        "weight.progress.shares": (0.5, 0.75, 0.82, 1.0),
        "weight.progress.starts": (0.25, 0.5, 0.75, 0.9),
        "latent.init": "he_in",
    },
}
