"""The products that are measured, with ±1 data and their exact results."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """A convolution with stride 1 that keeps its map's size, or (``size`` and ``kernel`` 1) a dense layer."""

    name: str
    inputs: int
    outputs: int
    size: int = 1
    kernel: int = 1

    @property
    def padding(self) -> int:
        """The same on every side."""
        return self.kernel // 2

    @property
    def dense(self) -> bool:
        """Whether the map is one pixel."""
        return self.size == 1

    def macs(self, batch: int) -> int:
        """Multiply-accumulates; padded taps count as work."""
        return batch * self.outputs * self.inputs * self.kernel**2 * self.size**2


CONVOLUTIONS = (
    Shape("R18 64ch 56²", 64, 64, 56, 3),
    Shape("R18 128ch 28²", 128, 128, 28, 3),
    Shape("R18 256ch 14²", 256, 256, 14, 3),
    Shape("R18 512ch 7²", 512, 512, 7, 3),
    Shape("AlexNet conv2 5×5", 96, 256, 27, 5),
    Shape("AlexNet conv3", 256, 384, 13, 3),
    Shape("AlexNet conv4", 384, 384, 13, 3),
    Shape("AlexNet conv5", 384, 256, 13, 3),
)
DENSE = (Shape("4096→4096", 4096, 4096), Shape("9216→4096", 9216, 4096))


@dataclass(frozen=True)
class Case:
    """A shape with data."""

    shape: Shape
    batch: int
    seed: int = 0

    @cached_property
    def x(self) -> Array:
        """±1, N×I×H×W."""
        s = self.shape
        return self._signs(self.batch, s.inputs, s.size, s.size)

    @cached_property
    def w(self) -> Array:
        """±1, O×I×K×K."""
        s = self.shape
        return self._signs(s.outputs, s.inputs, s.kernel, s.kernel)

    def _signs(self, *shape: int) -> Array:
        rng = np.random.default_rng([self.seed, *shape])
        return (rng.integers(0, 2, shape) * 2 - 1).astype(np.float32)

    @cached_property
    def truth(self) -> Array:
        """The whole-number result, N×O×H×W; padded taps count as 0."""
        product = F.conv2d(torch.from_numpy(self.x), torch.from_numpy(self.w), padding=self.shape.padding)
        return np.asarray(product.numpy())

    @cached_property
    def macs(self) -> int:
        """Of the whole batch."""
        return self.shape.macs(self.batch)

    def deviation(self, result: NDArray[np.generic]) -> float:
        """The largest difference of an N×O×H×W (or N×O) result from the truth."""
        truth = self.truth
        return float(np.abs(np.asarray(result, np.float64).reshape(truth.shape) - truth).max())
