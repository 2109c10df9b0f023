"""AlexNet in XNOR-Net's layout (models/alexnet.lua, alexnetxnor.lua): no groups, no LRN.

fc6 to fc8 are convolutions, so that their batch norms are per channel and the rules for binary
convolutions hold for them too.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bnn_train.binary.factory import ChainLayer, Layers
from bnn_train.models.init import he_in, initialise_real
from bnn_train.models.sizes import Shape, after, require
from bnn_train.spec.network_options import IMAGENET_FROM
from bnn_train.spec.networks import AlexNet


@dataclass(frozen=True)
class _Stem:
    kernel: int
    stride: int
    padding: int


def alexnet(network: AlexNet, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """N×C×S×S → N×classes: five convolutions, three poolings 3/2, fc6 over the whole remaining map."""
    require(network, shape)
    chain = layers.chain(_layers(network, shape, classes))
    chain.add_module("flatten", nn.Flatten())
    initialise_real(chain, he_in)
    return chain


def _layers(network: AlexNet, shape: Shape, classes: int) -> list[ChainLayer]:
    stem = _Stem(11, 4, 2) if shape[1] >= IMAGENET_FROM else _Stem(3, 1, 1)
    conv1, conv2, conv3, conv4, conv5, fc6, fc7 = (max(1, round(n * network.width)) for n in network.channels)
    first = ChainLayer(
        role="first",
        kind="conv",
        inputs=shape[0],
        outputs=conv1,
        kernel=stem.kernel,
        stride=stem.stride,
        padding=stem.padding,
        pool=_pool(),
    )
    drop = network.dropout
    return [
        first,
        _conv(conv1, conv2, 5, pool=_pool()),
        _conv(conv2, conv3, 3),
        _conv(conv3, conv4, 3),
        _conv(conv4, conv5, 3, pool=_pool()),
        _dense(conv5, fc6, _remaining(shape[1], stem), drop),
        _dense(fc6, fc7, 1, drop),
        ChainLayer(role="last", kind="conv", inputs=fc7, outputs=classes),
    ]


def _pool() -> nn.Module:
    return nn.MaxPool2d(3, 2)


def _conv(inputs: int, outputs: int, kernel: int, pool: nn.Module | None = None) -> ChainLayer:
    padding = kernel // 2
    return ChainLayer(
        role="body", kind="conv", inputs=inputs, outputs=outputs, kernel=kernel, padding=padding, pool=pool
    )


def _dense(inputs: int, outputs: int, kernel: int, dropout: float) -> ChainLayer:
    return ChainLayer(
        role="body",
        kind="conv",
        inputs=inputs,
        outputs=outputs,
        kernel=kernel,
        dropout=dropout,
        channel_dropout=True,
    )


def _remaining(size: int, stem: _Stem) -> int:
    """Pixels along a side of the map that fc6 reads: 6 at 224."""
    size = after(size, stem.kernel, stem.stride, stem.padding)
    for _ in range(3):
        size = after(size, 3, 2)
    return size
