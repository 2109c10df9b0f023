"""The arithmetic of map sizes, and the sentence for images that are too small."""

from __future__ import annotations

from bnn_train.errors import BnnError

Shape = tuple[int, int, int]
"""C×H×W of one image."""


def after(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Pixels along one side after a convolution or a pooling."""
    return (size + 2 * padding - kernel) // stride + 1


def require(network: str, shape: Shape, least: int) -> None:
    """Refuse images whose shorter side is under ``least`` pixels."""
    _, height, width = shape
    if min(height, width) < least:
        raise BnnError(
            f"model {network}: images of {height}×{width} pixels are too small, "
            f"it needs {least}×{least} or more; set data.image_size or choose another network"
        )
