"""Augmentation of training images, as `data.augment` lists it. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.affine import Affine
from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count, Natural, named

Share = Annotated[float, Field(ge=0, le=1)]


class PadCropFlip(Record):
    """Pad with black, crop back at random, flip left-right with probability ½."""

    name: Literal["pad_crop_flip"]
    pad: Natural = 4
    flip: bool = True


class RandomResizedCrop(Record):
    """A random area and aspect ratio, resized to the input size; flip. Image folders only."""

    name: Literal["random_resized_crop"]
    min_area: float = Field(default=0.08, gt=0, le=1)
    flip: bool = True


class ResizeCrop(Record):
    """Shorter side at random in [min_side, max_side], random crop of the input size; flip.

    Image folders only.
    """

    name: Literal["resize_crop"]
    min_side: Count = 256
    max_side: Count = 256
    flip: bool = True


class Varied(Record):
    """Changes one decoded image after crop and flip; torchvision's transforms v2 draw and compute it."""


class RandAugment(Varied):
    """A number of random operations of one strength (Cubuk et al., arXiv 1909.13719), torchvision's space."""

    name: Literal["rand_augment"]
    operations: Count = 2
    magnitude: int = Field(default=9, ge=0, le=30)


class ColorJitter(Varied):
    """Brightness, contrast, saturation and hue by random factors, in random order."""

    name: Literal["color_jitter"]
    brightness: float = Field(default=0.4, ge=0, le=1)
    """Factors from 1 − this to 1 + this; likewise the next two."""
    contrast: float = Field(default=0.4, ge=0, le=1)
    saturation: float = Field(default=0.4, ge=0, le=1)
    hue: float = Field(default=0.1, ge=0, le=0.5)
    """Turns of the colour circle, to either side."""


class RandomErasing(Varied):
    """A random rectangle replaced (Zhong et al., arXiv 1708.04896)."""

    name: Literal["random_erasing"]
    probability: Share = 0.25
    min_area: float = Field(default=0.02, gt=0, lt=1)
    """Of the image, as the next one."""
    max_area: float = Field(default=0.33, gt=0, lt=1)
    min_aspect: float = Field(default=0.3, gt=0, le=1)
    """Height to width between this and its inverse, log-uniform."""
    fill: Literal["noise", "black"] = "noise"


Augmentation = Annotated[
    Annotated[
        PadCropFlip | Affine | RandomResizedCrop | ResizeCrop | RandAugment | ColorJitter | RandomErasing,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]


class _Mix(Record):
    probability: Share = 1.0
    """Of an image to be mixed."""


class MixUp(_Mix):
    """λ·image + (1 − λ)·another of the batch, λ from Beta(α, α); labels likewise (arXiv 1710.09412)."""

    name: Literal["mixup"]
    alpha: float = Field(default=0.2, gt=0, le=2)


class CutMix(_Mix):
    """A rectangle of the image is another's of the batch; labels by area (arXiv 1905.04899)."""

    name: Literal["cutmix"]
    alpha: float = Field(default=1.0, gt=0, le=2)


Mix = Annotated[Annotated[MixUp | CutMix, Field(discriminator="name")], BeforeValidator(named)]
