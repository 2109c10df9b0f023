"""A ConvNet for microcontrollers: its maps in bits take less than 1.2 kB, its weights less than 8 kB."""

from __future__ import annotations

from torch import nn

from bnn_train.binary.factory import ChainLayer, Layers
from bnn_train.models.init import he_out, initialise_real
from bnn_train.models.sizes import Shape, after, require
from bnn_train.spec.networks import TinyConvNet


def tiny_convnet(network: TinyConvNet, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """(w C5/2)-(2w C3)-MP2-(2w C3)-MP2-classes: the first layer quarters the map."""
    require(network, shape)
    channels, height, width = shape
    w = network.width
    features = 2 * w * _left(height) * _left(width)
    chain = layers.chain(
        [
            ChainLayer(
                role="first",
                kind="conv",
                inputs=channels,
                outputs=w,
                kernel=5,
                stride=2,
                padding=2,
                bias=False,
            ),
            _body(w, 2 * w),
            _body(2 * w, 2 * w),
            ChainLayer(role="last", kind="linear", inputs=features, outputs=classes, bias=False),
        ]
    )
    initialise_real(chain, he_out)
    return chain


def _body(inputs: int, outputs: int) -> ChainLayer:
    return ChainLayer(
        role="body",
        kind="conv",
        inputs=inputs,
        outputs=outputs,
        kernel=3,
        padding=1,
        bias=False,
        pool=nn.MaxPool2d(2),
    )


def _left(size: int) -> int:
    return after(size, 5, stride=2, padding=2) // 2 // 2
