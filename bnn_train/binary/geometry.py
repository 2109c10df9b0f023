"""How a convolution walks over its input."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    """Stride, padding and dilation, rows first, and the groups of channels."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
