"""JPEG files by libjpeg-turbo itself, where simplejpeg is installed: Pillow's pixels, sooner."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TARGETS = {"Gray": "GRAY", "CMYK": "CMYK", "YCCK": "CMYK"}
SOURCES = ("RGB", "L")
"""PIL's modes of files whose colours it takes as libjpeg gives them."""


@cache
def library() -> Any:
    """The module simplejpeg, or None."""
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg


def decoded(content: bytes, source: str, mode: str) -> NDArray[np.uint8] | None:
    """A JPEG file, in PIL's mode ``source`` by its header, as H×W×3 (`RGB`) or H×W×1 (`L`).

    None where Pillow must say what the file is: without the library, for another conversion of colours, and
    where the file is at fault in any way.
    """
    turbo = library()
    if turbo is None or source not in SOURCES or (mode, source) == ("L", "RGB"):
        return None
    try:
        found: NDArray[np.uint8] = turbo.decode_jpeg(content, "RGB" if mode == "RGB" else "GRAY")
    except Exception:  # its ValueError, and whatever else a damaged file brings about
        return None
    return found


def damaged(content: bytes) -> bool:
    """Whether libjpeg-turbo warns of a file that it decodes nonetheless, which Pillow does not tell."""
    turbo = library()
    try:
        turbo.decode_jpeg(content, _TARGETS.get(turbo.decode_jpeg_header(content)[2], "RGB"))
    except Exception:  # as above
        return True
    return False
