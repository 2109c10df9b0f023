"""Augmentation of small images, a whole batch at a time on the device. Draws per sample."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from bnn_train.data.randomness import Ids, uniform
from bnn_train.data.transfer import to_device
from bnn_train.spec.augment import PadCropFlip

DRAWS = 64
"""Draw numbers set aside for each entry of ``data.augment``."""


def pad_crop_flip(
    images: Tensor, step: PadCropFlip, *, seed: int, epoch: int, ids: Ids, first_draw: int = 0
) -> Tensor:
    """Pad uint8 B×C×H×W with black, crop each image back at one of (2·pad + 1)² places, flip it or not."""
    _, channels, height, width = images.shape
    places = 2 * step.pad + 1
    drawn = np.stack([uniform(seed, epoch, ids, first_draw + i) for i in range(3)])
    draws = to_device(torch.from_numpy(drawn), images.device)
    top, left = (draws[0] * places).long(), (draws[1] * places).long()
    rows = top[:, None] + torch.arange(height, device=images.device)
    across = torch.arange(width, device=images.device).expand(len(images), width)
    if step.flip:
        across = torch.where(draws[2][:, None] < 0.5, width - 1 - across, across)
    columns = left[:, None] + across
    padded = pad(images, [step.pad] * 4).flatten(2)
    index = (rows[:, :, None] * (width + 2 * step.pad) + columns[:, None, :]).flatten(1)
    return padded.gather(2, index[:, None, :].expand(-1, channels, -1)).view_as(images)
