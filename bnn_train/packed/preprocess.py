"""The steps between pixels and a real-valued input, in numpy; what each computes is told in
``data.normalize``.

x: float32 N×H×W×C. Statistics keep the order C×H×W in which they were fitted. Sums over an image may differ
from torch's in the last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.program import Preprocess

Array = NDArray[Any]
Tensors = Mapping[str, Array]
_FEWEST = np.float32(1e-8)
"""pylearn2's ``min_divisor``."""


def apply(images: Array, steps: tuple[Preprocess, ...], tensors: Tensors) -> NDArray[np.float32]:
    """uint8 N×H×W×C to float32 of the same shape."""
    x = images.astype(np.float32)
    with np.errstate(all="ignore"):
        for step in steps:
            own = {key: tensors[name] for key, name in step.tensors.items()}
            x = _APPLY[step.kind](x, step.options, own)
    return np.ascontiguousarray(x, dtype=np.float32)


Options = Mapping[str, Any]


def _scale01(x: Array, _options: Options, _own: Tensors) -> Array:
    return x / np.float32(255)


def _signed(x: Array, _options: Options, _own: Tensors) -> Array:
    return x * np.float32(2 / 255) - np.float32(1)


def _mean_std(x: Array, _options: Options, own: Tensors) -> Array:
    return (x / np.float32(255) - own["mean"]) / own["std"]


def _pixel_mean(x: Array, _options: Options, own: Tensors) -> Array:
    return x / np.float32(255) - own["mean"].transpose(1, 2, 0)


def _gcn(x: Array, options: Options, _own: Tensors) -> Array:
    pixels = (1, 2, 3)
    x = x - x.mean(axis=pixels, keepdims=True, dtype=np.float64).astype(np.float32)
    power = np.square(x, dtype=np.float64)
    spread = power.sum(axis=pixels, keepdims=True)
    if options["norm"] == "std":
        spread /= x[0].size
    divisor = (np.sqrt(spread + options["bias"]) / options["scale"]).astype(np.float32)
    return x / np.where(divisor < _FEWEST, np.float32(1), divisor)


def _zca(x: Array, _options: Options, own: Tensors) -> Array:
    count, height, width, channels = x.shape
    flat = x.transpose(0, 3, 1, 2).reshape(count, -1) - own["mean"]
    white = flat @ own["matrix"]
    return np.asarray(white.reshape(count, channels, height, width).transpose(0, 2, 3, 1))


def _lcn(x: Array, options: Options, _own: Tensors) -> Array:
    window = gaussian(options["kernel"])
    centred = x - _filter(x, window)
    norm = np.sqrt(_filter(np.square(x), window))
    floor = norm.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
    divisor = np.maximum(np.maximum(norm, floor), np.float32(options["threshold"]))
    return np.asarray(centred / divisor)


def gaussian(size: int, sigma: float = 2.0) -> NDArray[np.float32]:
    """A size×size window that sums to 1; pylearn2's σ is 2."""
    at = np.arange(size) - size // 2
    line = np.exp(-np.square(at) / (2 * sigma**2))
    plane = np.outer(line, line)
    return np.asarray(plane / plane.sum(), dtype=np.float32)


def _filter(x: Array, window: Array) -> Array:
    """Every channel through the window, zeros around the image."""
    half = len(window) // 2
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    y = np.zeros_like(x)
    for (row, column), weight in np.ndenumerate(window):
        y += weight * padded[:, row : row + height, column : column + width]
    return y


_APPLY: dict[str, Callable[[Array, Options, Tensors], Array]] = {
    "scale01": _scale01,
    "signed": _signed,
    "mean_std": _mean_std,
    "pixel_mean": _pixel_mean,
    "gcn": _gcn,
    "zca": _zca,
    "lcn": _lcn,
}
