"""Antialiased resizing of decoded pictures, Pillow's BILINEAR to the bit, by the kernels where compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.errors import NativeUnavailable
from bnn_train.packed.native_library import library

Picture = NDArray[np.uint8]
Window = tuple[int, int, int, int]
"""(top, left, height, width) of the resized picture."""


def resample(
    pixels: Picture, size: tuple[int, int], window: Window | None = None, *, flipped: bool = False
) -> Picture:
    """uint8 H×W or H×W×C, C 1 or 3, resized to ``size`` (height, width); of that only the window, left and
    right exchanged if ``flipped``.

    Rows may lie apart, as those of a crop do. Every byte equals that of ``Image.resize`` with BILINEAR, which
    differs by at most 1 from torchvision's antialiased resize of uint8.
    """
    shown = pixels if pixels.ndim == 3 else pixels[:, :, None]
    top, left, height, width = window or (0, 0, *size)
    if size == shown.shape[:2]:
        return _in_order(pixels[top : top + height, left : left + width], flipped)
    try:
        kernels = library()
    except NativeUnavailable:
        return _in_order(_by_pillow(pixels, size, (top, left, height, width)), flipped)
    if shown.strides[1:] != (shown.shape[2], 1):
        shown = np.ascontiguousarray(shown)
    found = np.empty((height, width, shown.shape[2]), np.uint8)
    place = (top, left, height, width)
    shape = (shown.shape[0], shown.shape[1], shown.shape[2])
    kernels.resample(shown.ctypes.data, shown.strides[0], shape, size, place, flipped, found.ctypes.data)
    return found if pixels.ndim == 3 else found[:, :, 0]


def _in_order(pixels: Picture, flipped: bool) -> Picture:
    return np.ascontiguousarray(pixels[:, ::-1] if flipped else pixels)


def _by_pillow(pixels: Picture, size: tuple[int, int], window: Window) -> Picture:
    from PIL import Image

    grey = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    image = Image.fromarray(np.ascontiguousarray(grey))
    resized = np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    top, left, height, width = window
    found = resized[top : top + height, left : left + width]
    return found.reshape(*found.shape[:2], *pixels.shape[2:])
