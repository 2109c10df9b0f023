"""Options of an export that trade accuracy for size or speed, each with its loss told."""

from __future__ import annotations

from typing import Literal

from bnn_train.spec.record import Record


class Options(Record):
    """The forms of the weights that are not binary."""

    first: Literal["int24", "int16", "int8"] = "int24"
    """Real weights of the layer that reads the image."""
    last: Literal["f32", "bf16", "int8"] = "f32"
    """Real weights of the last layer."""
    real: Literal["f32", "bf16"] = "f32"
    """All other real weights."""
    binarize: bool = False
    """Store the signs of layers that are evaluated with their latent weights."""


DIGITS = {"int24": 3, "int16": 2, "int8": 1}
