"""Augmentation of small images, a whole batch at a time on the device. Draws per sample."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from bnn_train.data.randomness import Ids, uniform
from bnn_train.data.transfer import to_device
from bnn_train.packed.errors import NativeUnavailable
from bnn_train.packed.native_library import library
from bnn_train.spec.augment import PadCropFlip

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]
Pixels = NDArray[np.uint8]
DRAWS = 64
"""Draw numbers set aside for each entry of ``data.augment``."""


def pad_crop_flip(
    images: Tensor, step: PadCropFlip, *, seed: int, epoch: int, ids: Ids, first_draw: int = 0
) -> Tensor:
    """Pad uint8 B×C×H×W with black, crop each image back at one of (2·pad + 1)² places, flip it or not."""
    drawn = np.stack([uniform(seed, epoch, ids, first_draw + i) for i in range(3)])
    return (_sliced if images.device.type == "cpu" else _gathered)(images, step, drawn)


def _sliced(images: Tensor, step: PadCropFlip, drawn: Reals) -> Tensor:
    """Image by image, which on a CPU is faster than gathering; channels last in memory."""
    pixels = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
    tops, lefts = (drawn[:2] * (2 * step.pad + 1)).astype(np.int64) - step.pad
    flipped = (drawn[2] < 0.5) & step.flip
    found = _moved(pixels, tops, lefts, flipped)
    return torch.from_numpy(found).permute(0, 3, 1, 2)


def _moved(pixels: Pixels, tops: Whole, lefts: Whole, flipped: NDArray[np.bool_]) -> Pixels:
    """Images N×H×W×C, each pixel (y, x) that at (y + top, x + left), black outside; then mirrored or not."""
    try:
        kernels = library()
    except NativeUnavailable:
        return _moved_by_numpy(pixels, tops, lefts, flipped)
    found = np.empty_like(pixels)
    numbers = tops.ctypes.data, lefts.ctypes.data, flipped.ctypes.data
    kernels.crop(pixels.ctypes.data, pixels.shape, numbers, found.ctypes.data)
    return found


def _moved_by_numpy(pixels: Pixels, tops: Whole, lefts: Whole, flipped: NDArray[np.bool_]) -> Pixels:
    _, height, width, _ = pixels.shape
    found = np.zeros_like(pixels)
    for to, image, y, x in zip(found, pixels, tops.tolist(), lefts.tolist(), strict=True):
        inside = image[max(y, 0) : max(height + y, 0), max(x, 0) : max(width + x, 0)]
        to[max(-y, 0) : max(height - y, 0), max(-x, 0) : max(width - x, 0)] = inside
    found[flipped] = found[flipped][:, :, ::-1]
    return found


def _gathered(images: Tensor, step: PadCropFlip, drawn: Reals) -> Tensor:
    """All at once, on any device."""
    _, channels, height, width = images.shape
    places = 2 * step.pad + 1
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
