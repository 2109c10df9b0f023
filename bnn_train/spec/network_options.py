"""The common part of every network's options."""

from __future__ import annotations

from typing import ClassVar, Literal

from bnn_train.spec.record import Record

IMAGENET_FROM = 64
"""Pixels along the shorter side from which a network takes ImageNet's stem and not that for small images."""


class Options(Record):
    """The options of a network, and the images that it can take."""

    least: ClassVar[int] = 8
    """The shortest side in pixels; most networks halve their maps three times."""
    square: ClassVar[bool] = False
    """Whether height and width must be equal."""
    dense: ClassVar[bool] = False
    """It has dense layers alone."""
    squeezes: ClassVar[bool] = False
    """It has channels that one layer makes and one reads."""
    residual: ClassVar[bool] = False
    """It has shortcuts, and no plain chain of layers."""
    init: Literal["own", "glorot_uniform", "glorot_normal", "torch"] = "own"
    """Initial weights of the real layers: the network's own rule, Keras' two, or PyTorch's U(±1/√fan_in).
    Binary layers begin as `method.latent.init` says."""

    @property
    def least_pixels(self) -> int:
        """The shortest side of an image; below it, maps vanish or are a single pixel early on."""
        return self.least
