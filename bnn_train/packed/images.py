"""What a model is given: arrays checked, files decoded as the evaluation of image folders decodes them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import DataError
from bnn_train.packed.program import Images

if TYPE_CHECKING:
    from PIL import Image

Picture = NDArray[np.uint8]
MAX_PIXELS = 64_000_000
MAX_ASPECT = 100
_MODES = {1: "L", 3: "RGB"}
_SIXTEEN_BIT = ("I", "F")


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
    """One file as H×W×C: shorter side to ``resize``, then the centre; without ``resize`` it must have the
    size itself. EXIF orientation is ignored."""
    from PIL import Image  # arrays need no PIL

    if contract.channels not in _MODES:
        raise DataError(f"the model wants {contract.channels} channels; files give 1 or 3: give an array")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # corrupt EXIF, palette transparency
            with Image.open(path) as image:
                _check(image, path)
                return _fit(image.convert(_MODES[contract.channels]), path, contract)
    except (DataError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
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


def _fit(image: Image.Image, path: Path, contract: Images) -> Picture:
    width, height = contract.width, contract.height
    if contract.resize is not None:
        image = _resize_shorter(image, contract.resize, path)
        left, top = round((image.width - width) / 2.0), round((image.height - height) / 2.0)
        image = image.crop((left, top, left + width, top + height))
    if image.size != (width, height):
        raise DataError(f"{path}: {image.width}×{image.height} pixels; the model wants {width}×{height}")
    return np.array(image, dtype=np.uint8).reshape(height, width, contract.channels)


def _resize_shorter(image: Image.Image, side: int, path: Path) -> Image.Image:
    """Shorter side to ``side``, the longer in proportion, rounded down as torchvision does; antialiased."""
    short, long = min(image.size), max(image.size)
    other = side * long // short
    if side * other > MAX_PIXELS:
        raise DataError(f"{path}: {image.width}×{image.height} pixels is too elongated to resize; crop it")
    size = (side, other) if image.width <= image.height else (other, side)
    return image if size == image.size else image.resize(size, _bilinear())


def _bilinear() -> Image.Resampling:
    from PIL import Image

    return Image.Resampling.BILINEAR
