"""Images mixed with others of their batch, and their labels alike. Draws per sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_train.data.randomness import Ids, uniform
from bnn_train.data.transfer import to_device
from bnn_train.spec.augment import CutMix, MixUp

_FIRST = 2**20
"""Draws of augmentations come before."""
_WAY, _MIXED, _ROW, _COLUMN, _BETA = range(_FIRST, _FIRST + 5)
Reals = NDArray[np.float64]


def mixed(
    images: Tensor,
    labels: Tensor,
    ways: Sequence[MixUp | CutMix],
    *,
    classes: int,
    seed: int,
    epoch: int,
    ids: Ids,
) -> tuple[Tensor, Tensor]:
    """float32 B×C×H×W and the classes' shares B×K: each image with the next of the batch, the last with the
    first."""
    chosen = (uniform(seed, epoch, ids, _WAY) * len(ways)).astype(np.int64)
    own, boxes = np.ones(len(ids)), np.zeros((4, len(ids)))
    others = images.roll(-1, 0)
    blended = np.ones(len(ids))
    for number, way in enumerate(ways):
        taken = (chosen == number) & (uniform(seed, epoch, ids, _MIXED) < way.probability)
        share = beta(way.alpha, seed, epoch, ids)
        if isinstance(way, MixUp):
            blended[taken] = share[taken]
            own[taken] = share[taken]
        else:
            box = _boxes(share, images.shape[2:], seed, epoch, ids)
            boxes[:, taken] = box[:, taken]
            area = (box[1] - box[0]) * (box[3] - box[2])
            own[taken] = (1 - area / (images.shape[2] * images.shape[3]))[taken]
    factor = _on(blended, images).view(-1, 1, 1, 1)
    inside = _inside(_on(boxes, images), images.shape[2:])
    result = torch.where(inside, others, factor * images + (1 - factor) * others)
    shares = torch.zeros(len(labels), classes, device=images.device)
    weight = _on(own, images)[:, None]
    shares.scatter_add_(1, labels[:, None], weight)
    shares.scatter_add_(1, labels.roll(-1, 0)[:, None], 1 - weight)
    return result.contiguous(memory_format=torch.channels_last), shares


def _on(numbers: Reals, images: Tensor) -> Tensor:
    return to_device(torch.from_numpy(numbers.astype(np.float32)), images.device)


def _boxes(share: Reals, size: Sequence[int], seed: int, epoch: int, ids: Ids) -> Reals:
    """(top, bottom, left, right) of rectangles with 1 − ``share`` of the area, cut at the border."""
    side = np.sqrt(1 - share)
    ends = []
    for length, draw in zip(size, (_ROW, _COLUMN), strict=True):
        half = np.floor(length * side) / 2
        middle = np.floor(uniform(seed, epoch, ids, draw) * length)
        ends += [np.clip(np.floor(middle - half), 0, length), np.clip(np.floor(middle + half), 0, length)]
    return np.stack(ends)


def _inside(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """B×1×H×W: the pixels in each rectangle."""
    top, bottom, left, right = boxes[:, :, None]
    rows, columns = (torch.arange(length, device=boxes.device)[None] for length in size)
    down, across = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    inside: Tensor = (down[:, :, None] & across[:, None, :])[:, None]
    return inside


def beta(alpha: float, seed: int, epoch: int, ids: Ids) -> Reals:
    """One number of Beta(α, α) per sample, by Jöhnk's method (Metrika 8, 1964): of two uniforms,
    x = u^(1/α) and y = v^(1/α), the first pair with x + y ≤ 1 gives x / (x + y); in logarithms, since for
    small α both vanish."""
    result, open_, attempt = np.empty(len(ids)), np.ones(len(ids), dtype=bool), 0
    while open_.any():
        x, y = (
            np.log(np.maximum(uniform(seed, epoch, ids[open_], _BETA + 2 * attempt + i), 2.0**-53)) / alpha
            for i in range(2)
        )
        both = np.logaddexp(x, y)
        done = both <= 0
        places = np.flatnonzero(open_)[done]
        result[places] = np.exp(x - both)[done]
        open_[places] = False
        attempt += 1
    return result
