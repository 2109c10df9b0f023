"""Changes of one decoded image by torchvision's transforms, drawn from (seed, epoch, sample) alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor

from bnn_train.compat import import_torchvision
from bnn_train.data.randomness import stream_seed
from bnn_train.spec.augment import ColorJitter, RandAugment, RandomErasing, Varied

_ATTEMPTS = 10


def varied(image: Tensor, steps: Sequence[Varied], seed: int, epoch: int, sample: int) -> Tensor:
    """uint8 C×H×W of the same shape. The n-th step's draws do not depend on the others."""
    for number, step in enumerate(steps):
        with _drawing(stream_seed(seed, epoch, "vary", sample, number)):
            image = _transform(step)(image)
    return image


@contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """torchvision draws from torch's generator, which a step of the training must find as it was."""
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)


@cache
def _transform(step: Varied) -> Callable[[Tensor], Tensor]:
    import_torchvision()
    return _MADE[type(step)](step)


def _rand_augment(step: RandAugment) -> Callable[[Tensor], Tensor]:
    from torchvision.transforms import v2

    made: Callable[[Tensor], Tensor] = v2.RandAugment(step.operations, step.magnitude)
    return made


def _color_jitter(step: ColorJitter) -> Callable[[Tensor], Tensor]:
    from torchvision.transforms import v2

    made: Callable[[Tensor], Tensor] = v2.ColorJitter(
        brightness=step.brightness, contrast=step.contrast, saturation=step.saturation, hue=step.hue
    )
    return made


def _random_erasing(step: RandomErasing) -> Callable[[Tensor], Tensor]:
    """By hand: torchvision fills with normal numbers, which are no pixels."""

    def erased(image: Tensor) -> Tensor:
        if float(torch.rand(())) >= step.probability:
            return image
        channels, height, width = image.shape
        for _ in range(_ATTEMPTS):
            area, shape, top, left = torch.rand(4, dtype=torch.float64).tolist()
            pixels = height * width * (step.min_area + (step.max_area - step.min_area) * area)
            aspect = math.exp(math.log(step.min_aspect) * (2 * shape - 1))
            rows, columns = round(math.sqrt(pixels * aspect)), round(math.sqrt(pixels / aspect))
            if 0 < rows < height and 0 < columns < width:
                at, across = int(top * (height - rows + 1)), int(left * (width - columns + 1))
                patch = torch.zeros(channels, rows, columns, dtype=torch.uint8)
                if step.fill == "noise":
                    patch = torch.randint(0, 256, patch.shape, dtype=torch.uint8)
                image = image.clone()
                image[:, at : at + rows, across : across + columns] = patch.to(image.device)
                break
        return image

    return erased


_MADE: dict[type[Varied], Callable[[Any], Callable[[Tensor], Tensor]]] = {
    RandAugment: _rand_augment,
    ColorJitter: _color_jitter,
    RandomErasing: _random_erasing,
}
