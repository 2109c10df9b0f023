"""A decoded image to one uint8 picture of the model's size. No torch, so that processes start light."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bnn_train.data.randomness import number
from bnn_train.packed.photo import resized, resized_centre
from bnn_train.packed.resample import Picture, resample
from bnn_train.spec.augment import RandomResizedCrop, ResizeCrop

if TYPE_CHECKING:
    from PIL import Image

_ATTEMPTS = 10
"""torchvision's RandomResizedCrop gives up after so many and takes the centre."""

Crop = RandomResizedCrop | ResizeCrop


class Draws:
    """The random numbers of one image in one epoch, by number."""

    def __init__(self, seed: int, epoch: int, sample: int) -> None:
        self._key = (seed, epoch, sample)

    def __getitem__(self, which: int) -> float:
        return number(*self._key, which)

    def below(self, which: int, end: int) -> int:
        """A whole number in [0, end)."""
        return int(self[which] * end)


def for_evaluation(image: Image.Image | Picture, size: int, resize: int) -> Picture:
    """H×W×C: shorter side to ``resize``, then the centre ``size``×``size``."""
    return resized_centre(_pixels(image), size, size, resize)


def for_training(image: Image.Image | Picture, size: int, step: Crop, draws: Draws) -> Picture:
    """H×W×C: a random crop as ``step`` says, flipped left-right at random. Draw 0 flips."""
    pixels, flipped = _pixels(image), step.flip and draws[0] < 0.5
    if isinstance(step, RandomResizedCrop):
        left, top, right, bottom = crop_box((pixels.shape[1], pixels.shape[0]), step.min_area, draws)
        return resample(pixels[top:bottom, left:right], (size, size), flipped=flipped)
    return _random_crop(pixels, size, step, draws, flipped)


def _random_crop(pixels: Picture, size: int, step: ResizeCrop, draws: Draws, flipped: bool) -> Picture:
    side = step.min_side + draws.below(1, step.max_side - step.min_side + 1)
    width, height = resized((pixels.shape[1], pixels.shape[0]), side)
    left = draws.below(2, width - size + 1)
    top = draws.below(3, height - size + 1)
    return resample(pixels, (height, width), (top, left, size, size), flipped=flipped)


def crop_box(size: tuple[int, int], min_area: float, draws: Draws) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the Inception crop: area uniform in [min_area, 1] of the image, aspect
    log-uniform in [3/4, 4/3]; the centre where ten attempts do not fit (torchvision's RandomResizedCrop)."""
    width, height = size
    for attempt in range(_ATTEMPTS):
        first = 1 + 4 * attempt
        area = width * height * (min_area + (1 - min_area) * draws[first])
        aspect = math.exp(math.log(3 / 4) + (math.log(4 / 3) - math.log(3 / 4)) * draws[first + 1])
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = draws.below(first + 2, width - w + 1), draws.below(first + 3, height - h + 1)
            return left, top, left + w, top + h
    return _central(width, height)


def _central(width: int, height: int) -> tuple[int, int, int, int]:
    """The largest centred box with an aspect in [3/4, 4/3]."""
    w = min(width, round(height * 4 / 3))
    h = min(height, round(width / (3 / 4)))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _pixels(image: Image.Image | Picture) -> Picture:
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
