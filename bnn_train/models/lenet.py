"""LeNet-5 as the XNOR-Net port has it (MNIST/models/LeNet_5.py): 20 and 50 maps, 500 units."""

from __future__ import annotations

from torch import nn

from bnn_train.binary.factory import ChainLayer, Layers
from bnn_train.models.init import he_in, initialise_real
from bnn_train.models.sizes import Shape, after, require
from bnn_train.spec.networks import LeNet5


def lenet5(network: LeNet5, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """N×C×H×W → N×classes; convolutions without padding, so 28 pixels leave 50×4×4 = 800 features."""
    require(network, shape)
    channels, height, width = shape
    features = 50 * _left(height) * _left(width)
    chain = layers.chain(
        [
            ChainLayer(
                role="first", kind="conv", inputs=channels, outputs=20, kernel=5, pool=nn.MaxPool2d(2)
            ),
            ChainLayer(role="body", kind="conv", inputs=20, outputs=50, kernel=5, pool=nn.MaxPool2d(2)),
            ChainLayer(role="body", kind="linear", inputs=features, outputs=500),
            ChainLayer(role="last", kind="linear", inputs=500, outputs=classes),
        ]
    )
    initialise_real(chain, he_in)
    return chain


def _left(size: int) -> int:
    return after(after(size, 5) // 2, 5) // 2
