"""Augmentation of training images, as `data.augment` lists it. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count, Natural, named


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


Augmentation = Annotated[
    Annotated[PadCropFlip | RandomResizedCrop | ResizeCrop, Field(discriminator="name")],
    BeforeValidator(named),
]
