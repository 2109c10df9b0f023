"""The augmentation `affine`: data only."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bnn_train.spec.record import Record


class Affine(Record):
    """Turn, enlarge, shear and move each image at random within these bounds, about its middle; bilinear,
    black around. For handwriting and other small images whose meaning a flip would change."""

    name: Literal["affine"]
    rotate: float = Field(default=10.0, ge=0, le=180)
    """Degrees, at most, either way."""
    scale: float = Field(default=0.1, ge=0, lt=1)
    """The size is multiplied by 1 − scale … 1 + scale."""
    shear: float = Field(default=5.0, ge=0, lt=90)
    """Degrees, at most, either way, along rows."""
    translate: float = Field(default=0.07, ge=0, le=1)
    """Of each side, at most, either way."""
