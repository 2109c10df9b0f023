"""Images for a model: arrays checked, files decoded as the evaluation of image folders decodes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bnn_train.errors import DataError, ImageError, printable
from bnn_train.packed.photo import MAX_PIXELS, read_photo, resized, resized_centre
from bnn_train.packed.program import Images
from bnn_train.packed.resample import Picture

_MODES = {1: "L", 3: "RGB"}


def check_array(images: Any, contract: Images) -> Picture:
    """``images`` as uint8 N×H×W×C of the model's size. Raises DataError."""
    wanted = (contract.height, contract.width, contract.channels)
    if not isinstance(images, np.ndarray):
        raise DataError(f"images are a {type(images).__name__}; give a uint8 array or a list of file paths")
    if images.dtype != np.uint8:
        raise DataError(
            f"images are {images.dtype}; give uint8 pixels, 0 to 255: the model normalizes them itself"
        )
    if images.shape[1:] != wanted or images.ndim != 4:
        size = "×".join(map(str, wanted))
        raise DataError(
            f"images are {'×'.join(map(str, images.shape))}; the model wants N×{size}, channels last"
        )
    return images


def read_files(paths: Sequence[str | Path], contract: Images) -> Picture:
    """Image files as uint8 N×H×W×C. Raises DataError naming the file."""
    size = (len(paths), contract.height, contract.width, contract.channels)
    pictures = np.empty(size, np.uint8)
    for i, path in enumerate(paths):
        pictures[i] = read_file(Path(path), contract)
    return pictures


def read_file(path: Path, contract: Images) -> Picture:
    """One file as H×W×C: turned as its EXIF data say where the model was trained so, its shorter side to
    ``resize``, then the centre; without ``resize`` it must have the size itself."""
    if contract.channels not in _MODES:
        raise DataError(f"the model wants {contract.channels} channels; files give 1 or 3: give an array")
    return _fit(read_photo(path, _MODES[contract.channels], contract.exif).pixels, path, contract)


def _fit(pixels: Picture, path: Path, contract: Images) -> Picture:
    size, wanted = (pixels.shape[1], pixels.shape[0]), (contract.height, contract.width)
    found = f"{printable(path)}: {size[0]}×{size[1]} pixels"
    if contract.resize is not None:
        if math.prod(resized(size, contract.resize)) > MAX_PIXELS:
            raise ImageError(f"{found} is too elongated to resize; crop it")
        pixels = resized_centre(pixels, contract.width, contract.height, contract.resize)
    if pixels.shape[:2] != wanted:
        raise ImageError(f"{found}; the model wants {contract.width}×{contract.height}")
    return pixels
