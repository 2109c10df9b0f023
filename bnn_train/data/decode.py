"""One image file to one uint8 picture of the model's size. PIL only, so that worker processes start light."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bnn_train.config.schema import RandomResizedCrop, ResizeCrop
from bnn_train.data.randomness import uniform
from bnn_train.errors import DataError

MAX_PIXELS = 64_000_000
MAX_ASPECT = 100
"""An image of one row would grow to gigabytes when its shorter side is resized."""
_SIXTEEN_BIT = ("I", "F")
_ATTEMPTS = 10
"""torchvision's RandomResizedCrop gives up after so many and takes the centre."""

Picture = NDArray[np.uint8]
Crop = RandomResizedCrop | ResizeCrop


class Draws:
    """The random numbers of one image in one epoch, by number."""

    def __init__(self, seed: int, epoch: int, sample: int) -> None:
        self._key = (seed, epoch, [sample])

    def __getitem__(self, number: int) -> float:
        return float(uniform(*self._key, number)[0])

    def below(self, number: int, end: int) -> int:
        """A whole number in [0, end)."""
        return int(self[number] * end)


def read_rgb(path: Path) -> Image.Image:
    """The decoded image as RGB. EXIF orientation is ignored, as is usual for ImageNet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # corrupt EXIF, palette transparency: once per image and epoch
            with Image.open(path) as image:
                _check(image, path)
                return image.convert("RGB")
    except (DataError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except Exception as error:  # PIL's decoders raise nearly anything on damaged files
        reason = str(error).partition("\n")[0].replace(repr(str(path)), "it")
        raise DataError(f"{path}: not a readable image ({reason}); replace or remove it") from error


def _check(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(path)
    if max(image.size) > MAX_ASPECT * min(image.size):
        raise DataError(f"{path}: {image.width}×{image.height} pixels is too elongated to crop; remove it")
    if image.mode.partition(";")[0] in _SIXTEEN_BIT:
        raise DataError(f"{path}: more than 8 bits per channel (PIL mode {image.mode}); convert it to 8 bits")


def _too_large(path: Path) -> DataError:
    return DataError(f"{path}: more than {MAX_PIXELS // 10**6} million pixels; shrink or remove it")


def resize_shorter(image: Image.Image, side: int) -> Image.Image:
    """Shorter side to ``side``, the longer in proportion, rounded down as torchvision does; antialiased."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    other = side * long // short
    size = (side, other) if width <= height else (other, side)
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)


def for_evaluation(image: Image.Image, size: int, resize: int) -> Picture:
    """H×W×3: shorter side to ``resize``, then the centre ``size``×``size``."""
    image = resize_shorter(image, resize)
    left, top = (round((side - size) / 2.0) for side in image.size)
    return _pixels(image.crop((left, top, left + size, top + size)))


def for_training(image: Image.Image, size: int, step: Crop, draws: Draws) -> Picture:
    """H×W×3: a random crop as ``step`` says, flipped left-right at random. Draw 0 flips."""
    if isinstance(step, RandomResizedCrop):
        box = crop_box(image.size, step.min_area, draws)
        image = image.crop(box).resize((size, size), Image.Resampling.BILINEAR)
    else:
        image = _random_crop(image, size, step, draws)
    pixels = _pixels(image)
    return np.ascontiguousarray(pixels[:, ::-1]) if step.flip and draws[0] < 0.5 else pixels


def _random_crop(image: Image.Image, size: int, step: ResizeCrop, draws: Draws) -> Image.Image:
    image = resize_shorter(image, step.min_side + draws.below(1, step.max_side - step.min_side + 1))
    left = draws.below(2, image.width - size + 1)
    top = draws.below(3, image.height - size + 1)
    return image.crop((left, top, left + size, top + size))


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


def _pixels(image: Image.Image) -> Picture:
    return np.array(image, dtype=np.uint8)
