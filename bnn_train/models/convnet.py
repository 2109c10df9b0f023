"""The BinaryConnect ConvNet, and VGG-Small, which is its convolutions with one dense layer."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from bnn_train.binary.factory import ChainLayer, Layers
from bnn_train.models.init import glorot, he_out, initialise_real
from bnn_train.models.sizes import Shape, require
from bnn_train.spec.networks import ConvNet, VGGSmall

HIDDEN = 1024  # the dense layers stay this wide when the convolutions halve for SVHN


def convnet(network: ConvNet, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """(2×w C3)-MP2-(2×2w C3)-MP2-(2×4w C3)-MP2-(2×1024 FC)-classes, biases everywhere."""
    require(network, shape)
    chain = layers.chain(
        [
            *_convolutions(shape[0], network.width, bias=True),
            ChainLayer(role="body", kind="linear", inputs=_features(shape, network.width), outputs=HIDDEN),
            ChainLayer(role="body", kind="linear", inputs=HIDDEN, outputs=HIDDEN),
            ChainLayer(role="last", kind="linear", inputs=HIDDEN, outputs=classes),
        ]
    )
    initialise_real(chain, glorot)
    return chain


def vgg_small(network: VGGSmall, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """(2×w C3)-MP2-(2×2w C3)-MP2-(2×4w C3)-MP2-classes, no convolution biases (IR-Net, LQ-Nets)."""
    require(network, shape)
    last = ChainLayer(role="last", kind="linear", inputs=_features(shape, network.width), outputs=classes)
    chain = layers.chain([*_convolutions(shape[0], network.width, bias=False), last])
    initialise_real(chain, he_out, kinds=(nn.Conv2d,))
    return chain


def _convolutions(channels: int, width: int, *, bias: bool) -> list[ChainLayer]:
    widths = [channels, width, width, 2 * width, 2 * width, 4 * width, 4 * width]
    return [
        ChainLayer(
            role="body" if i else "first",
            kind="conv",
            inputs=inputs,
            outputs=outputs,
            kernel=3,
            padding=1,
            bias=bias,
            pool=nn.MaxPool2d(2) if i % 2 else None,
        )
        for i, (inputs, outputs) in enumerate(pairwise(widths))
    ]


def _features(shape: Shape, width: int) -> int:
    return 4 * width * (shape[1] // 8) * (shape[2] // 8)
