"""Random rotation, scale, shear and translation of small images, a whole batch at a time on the device."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from bnn_train.data.randomness import Ids, uniform
from bnn_train.data.transfer import to_device
from bnn_train.spec.affine import Affine

_DRAWS = 5


def affine(images: Tensor, step: Affine, *, seed: int, epoch: int, ids: Ids, first_draw: int = 0) -> Tensor:
    """uint8 B×C×H×W through a random affine map each, bilinear, black around, rounded to uint8.

    Output pixels p are read at A⁻¹(p − t), A = rotation · shear · scale, coordinates from the middle.
    """
    height, width = images.shape[2:]
    drawn = 2 * np.stack([uniform(seed, epoch, ids, first_draw + i) for i in range(_DRAWS)]) - 1
    inverse = _inverse(step, drawn, height, width).astype(np.float32)
    theta = to_device(torch.from_numpy(inverse), images.device)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    sampled = grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled.round_().clamp_(0, 255).byte()


def _inverse(step: Affine, drawn: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """B×2×3 maps of output coordinates to input coordinates, both in −1 … 1 along a side (x, then y)."""
    angle, size = np.radians(step.rotate) * drawn[0], 1 + step.scale * drawn[1]
    slope = np.tan(np.radians(step.shear) * drawn[2])
    cos, sin = np.cos(angle), np.sin(angle)
    # A⁻¹ = scale⁻¹ · shear⁻¹ · rotation⁻¹ in pixels; along a side of n pixels, −1 … 1 is n/2 times as long.
    rows = [[cos + slope * sin, sin - slope * cos], [-sin, cos]]
    pixels = np.array(rows).transpose(2, 0, 1) / size[:, None, None]
    half = np.array([width, height]) / 2
    linear = pixels * half[None, None, :] / half[None, :, None]
    moved = 2 * step.translate * np.stack([drawn[3], drawn[4]], axis=1)
    return np.concatenate([linear, -(linear @ moved[:, :, None])], axis=2)
