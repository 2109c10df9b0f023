"""What the names stand for: modules and images."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from bnn_example import TwoConvs
from bnn_train.binary.factory import ChainLayer, Layers
from bnn_train.binary.quantizers.base import Dims, Quantizer
from bnn_train.binary.sign import sign
from bnn_train.packed.program import Code
from bnn_train.spec.data import Data


class Thirds(Quantizer):
    """−1 below −⅓, +1 from ⅓ on, else 0; of the code's −1 … 2 the last is never used."""

    code = Code(offset=1, values=(1, 2), denominator=2)

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return sign(x - 1 / 3).add_(sign(x + 1 / 3)).mul_(0.5)


def two_convs(network: TwoConvs, layers: Layers, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """C3-C3-MP2-FC."""
    channels, height, width = shape
    wide = network.width
    conv: dict[str, Any] = {"kind": "conv", "outputs": wide, "kernel": 3, "padding": 1}
    return layers.chain(
        [
            ChainLayer(role="first", inputs=channels, **conv),
            ChainLayer(role="body", inputs=wide, pool=nn.MaxPool2d(2), **conv),
            ChainLayer(
                role="last", kind="linear", inputs=wide * (height // 2) * (width // 2), outputs=classes
            ),
        ]
    )


def stripes(config: Data, part: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Noise over every other row, or column."""
    count = 400 if part == "train" else 100
    draw = np.random.default_rng(part == "train")
    labels = np.arange(count) % 2
    rows = np.broadcast_to((np.arange(8)[:, None] % 2) * 160, (8, 8))
    images = np.stack([rows.T if label else rows for label in labels]) + draw.integers(0, 96, (count, 8, 8))
    return images[:, None].astype(np.uint8), labels
