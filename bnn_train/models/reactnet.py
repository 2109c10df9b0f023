"""ReActNet-A (Liu et al., arXiv 2003.03488, table 1 and figure 3)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from bnn_train.binary.channels import Concat
from bnn_train.binary.factory import Layers
from bnn_train.binary.global_average import GlobalAverage
from bnn_train.models.init import he_out, initialise_real
from bnn_train.models.resnet import Residual
from bnn_train.models.sizes import Shape, require
from bnn_train.spec.network_options import IMAGENET_FROM
from bnn_train.spec.networks import ReActNetA

TIMES = (1, 2, 4, 4, 8, 8, *[16] * 6, 32, 32)
"""Widths of the stem and of the thirteen blocks, as multiples of the stem's."""
HALVING = (1, 3, 5, 11)
"""The blocks, counted from 0, whose 3×3 convolution halves the map."""


class Doubled(nn.Module):
    """The channels twice."""

    def __init__(self) -> None:
        super().__init__()
        self.concat = Concat()

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×2C×H×W."""
        y: Tensor = self.concat(x, x)
        return y


def reactnet_a(network: ReActNetA, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """3×3 stem, thirteen blocks, average, dense layer; N×C×H×W → N×classes."""
    require(network, shape)
    widths = [network.width * times for times in TIMES]
    large = min(shape[1:]) >= IMAGENET_FROM
    stem = layers.conv("first", shape[0], widths[0], 3, stride=2 if large else 1, padding=1)
    blocks = [
        _block(layers, inputs, outputs, 2 if i in HALVING else 1)
        for i, (inputs, outputs) in enumerate(pairwise(widths))
    ]
    model = nn.Sequential(
        nn.Sequential(stem, layers.norm2d(widths[0])),
        *blocks,
        nn.Sequential(GlobalAverage(), nn.Flatten(), layers.linear("last", widths[-1], classes)),
    )
    initialise_real(model, he_out, kinds=(nn.Conv2d,))
    return model


def _block(layers: Layers, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A 3×3 and a 1×1 convolution, each with its shortcut.

    Where the channels double, the paper concatenates two 1×1 branches of ``inputs`` outputs behind one RSign,
    each with a shortcut: that is one convolution whose shortcut is the map twice."""
    halved = nn.AvgPool2d(2, ceil_mode=True) if stride > 1 else nn.Identity()
    side = Doubled() if outputs != inputs else nn.Identity()
    return nn.Sequential(
        Residual(_product(layers, inputs, inputs, 3, stride), halved, layers.stream(inputs)),
        Residual(_product(layers, inputs, outputs, 1, 1), side, layers.stream(outputs)),
    )


def _product(layers: Layers, inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    conv = layers.conv("body", inputs, outputs, kernel, stride=stride, padding=kernel // 2)
    act = layers.behind_conv(outputs)
    if layers.method.block.norms_first:
        return nn.Sequential(layers.norm2d(inputs), layers.nonlinearity("body"), conv, act)
    return nn.Sequential(conv, act, layers.norm2d(outputs))
