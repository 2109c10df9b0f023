"""The arithmetic of map sizes, and the refusal of images that a network cannot take."""

from __future__ import annotations

from bnn_train.errors import BnnError
from bnn_train.spec.networks import Network

Shape = tuple[int, int, int]
"""C×H×W of one image."""


def after(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Pixels along one side after a convolution or a pooling."""
    return (size + 2 * padding - kernel) // stride + 1


def require(network: Network, shape: Shape) -> None:
    """Raises BnnError for images C×H×W that the network cannot take: too small, or not square."""
    _, height, width = shape
    least = network.least_pixels
    if min(height, width) < least:
        raise BnnError(
            f"model {network.name}: images of {height}×{width} pixels are too small, "
            f"it needs {least}×{least} or more; set data.image_size or choose another network"
        )
    if network.square and height != width:
        raise BnnError(
            f"model {network.name}: images must be square, not {height}×{width}; set data.image_size"
        )
