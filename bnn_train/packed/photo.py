"""One image file to one decoded picture, checked: the same for training, evaluation and packed networks."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from bnn_train.errors import DataError, ImageError, printable
from bnn_train.packed import jpeg
from bnn_train.packed.opening import opened
from bnn_train.packed.resample import Picture, resample

if TYPE_CHECKING:
    from PIL import Image

Exif = Literal["ignore", "apply"]
MAX_PIXELS = 64_000_000
MAX_ASPECT = 100
"""An image of one row would grow to gigabytes when its shorter side is resized."""
MAX_BYTES = 2**30
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "DIB", "TIFF", "WEBP", "GIF")
"""The formats of the usual endings; PIL's other readers are older, and one starts a program (EPS)."""

WAITS = (0.1, 0.5, 2.0, 5.0, 15.0)
"""Seconds before each further try at a file whose disk or network does not answer."""
_PASSING = {
    *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOLINK),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EREMOTEIO),
    *(errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ENOTCONN, errno.ENFILE, errno.EMFILE),
}
_ORIENTATION = 0x0112
_DEEP_MODES = ("I", "F")
_DEEP_RAW = re.compile(r";(?:12|16|24|32)")
"""In the layout that a PNG or TIFF decoder reads: `RGB;16B` becomes 8 bits without a word."""
_WIDE = re.compile(r"\w+;16[BLN]?")
"""Layouts of 16 bits, of which PIL takes the upper 8 where the image has colours; of grey we do."""
_BITS_PER_SAMPLE = 258


class Photo(NamedTuple):
    """A decoded picture, H×W×C, and whether the file's EXIF data ask for it to be turned or mirrored."""

    pixels: Picture
    turned: bool

    @property
    def image(self) -> Image.Image:
        """The picture as PIL's."""
        from PIL import Image

        return Image.fromarray(self.pixels if self.pixels.shape[2] == 3 else self.pixels[:, :, 0])


def read_photo(path: Path, mode: str, exif: Exif = "ignore", *, listed: bool = False) -> Photo:
    """The file in PIL's mode ``mode`` (RGB or L), turned as its EXIF data say where ``exif`` is ``apply``.

    ``listed``: the file was there a while ago, so that a folder which is now gone may come back.
    Raises ImageError for a file at fault, and DataError where the disk does not answer.
    """
    with _told(path):
        content = read_bytes(path, listed=listed)
    return decode_photo(content, path, mode, exif)


def decode_photo(content: bytes, path: Path, mode: str, exif: Exif = "ignore") -> Photo:
    """See ``read_photo``; ``path`` names the file in sentences."""
    from PIL import Image  # arrays need no PIL

    with _told(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # corrupt EXIF, palette transparency: once per image and epoch
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check(image, path)
                turned = _is_turned(image)
                return Photo(_pixels(image, content, mode, turned and exif == "apply"), turned)
        except Image.DecompressionBombError as error:
            raise _too_large(path) from error


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a file as an ImageError: PIL raises nearly anything on damaged ones."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        reason = re.sub(r"<_io\.BytesIO object at \w+>", "it", str(error).partition("\n")[0])
        raise ImageError(
            f"{printable(path)}: not a readable image ({reason}); replace or remove it"
        ) from error


def _pixels(image: Image.Image, content: bytes, mode: str, turns: bool) -> Picture:
    if image.format == "JPEG" and not turns:
        found = jpeg.decoded(content, image.mode, mode)
        if found is not None and found.shape[:2] == (image.height, image.width):
            return found
    pixels = np.array(_of_bytes(_upright(image, turns)).convert(mode), dtype=np.uint8)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


# ------------------------------------------------------------------------------------ from the disk


Span = tuple[int, int]
"""Offset and size."""


def read_bytes(path: Path, span: Span | None = None, *, listed: bool = False) -> bytes:
    """The file's bytes, or those of ``span`` that it has; tried again with growing pauses while the disk does
    not answer. Raises as ``read_photo``."""
    for wait in WAITS:
        try:
            return _read(path, span)
        except OSError as error:
            if not _may_pass(path, error, listed):
                raise _unreadable(path, error) from error
        time.sleep(wait)
    try:
        return _read(path, span)
    except OSError as error:
        told = _unanswered if _may_pass(path, error, listed) else _unreadable
        raise told(path, error) from error


def _may_pass(path: Path, error: OSError, listed: bool) -> bool:
    """Whether another try may find the file: not where it alone is missing or forbidden."""
    gone = listed and error.errno in (errno.ENOENT, errno.ENOTDIR) and not os.path.isdir(path.parent)
    return gone or error.errno in _PASSING


def _read(path: Path, span: Span | None) -> bytes:
    """A regular file's bytes; its kind comes first, since to open a device may set it going."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ImageError(f"{printable(path)}: not a readable image (no regular file); remove it")
    with opened(path) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{printable(path)}: not a readable image (no regular file); remove it")
        if (span[1] if span else status.st_size) > MAX_BYTES:
            raise ImageError(f"{printable(path)}: more than {MAX_BYTES >> 20} MiB; shrink or remove it")
        if span is None:
            return file.read()
        return os.pread(file.fileno(), span[1], span[0])


def _unreadable(path: Path, error: OSError) -> ImageError:
    name = printable(path)
    if error.errno == errno.ENOENT and os.path.islink(path):
        return ImageError(f"{name}: a link that leads to no file; mend or remove it")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ImageError(f"{name}: no such file; put it back")
    return ImageError(f"{name}: cannot be read ({error.strerror or error}); mend, replace or remove it")


def _unanswered(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{printable(path)}: cannot be read ({error.strerror or error}), tried {len(WAITS) + 1} times in"
        f" {sum(WAITS):.0f} s; see to the disk or network, then go on"
    )


# ------------------------------------------------------------------------------------------ decoded


def _check(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(path)
    if max(image.size) > MAX_ASPECT * min(image.size):
        size = f"{image.width}×{image.height} pixels"
        raise ImageError(f"{printable(path)}: {size} is too elongated to crop; remove it")
    if _is_deep(image) and not _is_wide(image):
        found = f"{image.format}, PIL mode {image.mode}"
        raise ImageError(f"{printable(path)}: more than 8 bits per channel ({found}); convert it to 8 bits")


def _is_wide(image: Image.Image) -> bool:
    """16 bits in a channel, of which the upper 8 can be told: PNG and TIFF without planes."""
    layouts = [
        part for tile in getattr(image, "tile", ()) for part in _listed(tile[3]) if isinstance(part, str)
    ]
    return image.format in ("PNG", "TIFF") and bool(layouts) and all(map(_WIDE.fullmatch, layouts))


def _of_bytes(image: Image.Image) -> Image.Image:
    """The upper 8 bits of a grey image of 16: `convert` would clip it to 255."""
    from PIL import Image

    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _too_large(path: Path) -> ImageError:
    return ImageError(
        f"{printable(path)}: more than {MAX_PIXELS // 10**6} million pixels; shrink or remove it"
    )


def _is_deep(image: Image.Image) -> bool:
    """More than 8 bits in a channel: PIL's mode tells it of grey images alone."""
    if image.mode.partition(";")[0] in _DEEP_MODES:
        return True
    layouts = [part for tile in getattr(image, "tile", ()) for part in _listed(tile[3])]
    match image.format:
        case "TIFF":
            bits = _listed(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, 8))
            return any(isinstance(count, int) and count > 8 for count in bits)
        case "PPM":
            return any(isinstance(largest, int) and largest > 255 for largest in layouts)
        case "PNG":
            return any(_DEEP_RAW.search(str(layout)) for layout in layouts)
    return False


def _listed(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _is_turned(image: Image.Image) -> bool:
    """PIL turns a TIFF by itself, whatever it is asked."""
    try:
        return image.format != "TIFF" and image.getexif().get(_ORIENTATION) in range(2, 9)
    except Exception:  # damaged EXIF data
        return False


def _upright(image: Image.Image, turns: bool) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) if turns else image


# ------------------------------------------------------------------------------------------- fitted


def resized(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height of an image whose shorter side becomes ``side``; the longer in proportion, rounded
    down as torchvision does."""
    width, height = size
    other = side * max(size) // min(size)
    return (side, other) if width <= height else (other, side)


def resized_centre(pixels: Picture, width: int, height: int, resize: int) -> Picture:
    """The picture as an evaluation sees it: shorter side to ``resize``, antialiased, then the middle of the
    result, which is all of a side that is shorter than asked for."""
    whole_width, whole_height = resized((pixels.shape[1], pixels.shape[0]), resize)
    left, top = (max(0, round((n - m) / 2.0)) for n, m in ((whole_width, width), (whole_height, height)))
    window = (top, left, min(height, whole_height), min(width, whole_width))
    return resample(pixels, (whole_height, whole_width), window)
