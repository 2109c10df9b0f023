"""The multilayer perceptron of BinaryConnect, BNN and LAB."""

from __future__ import annotations

import math
from collections import OrderedDict

from torch import nn

from bnn_train.binary.factory import ChainLayer, Layers
from bnn_train.models.init import glorot, initialise_real
from bnn_train.models.sizes import Shape
from bnn_train.spec.networks import MLP


def mlp(network: MLP, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """N×C×H×W → N×classes through ``depth`` hidden layers of ``width`` units."""
    width, dropout = network.width, network.dropout
    first = ChainLayer(
        role="first", kind="linear", inputs=math.prod(shape), outputs=width, dropout=network.dropout_input
    )
    body = ChainLayer(role="body", kind="linear", inputs=width, outputs=width, dropout=dropout)
    last = ChainLayer(role="last", kind="linear", inputs=width, outputs=classes, dropout=dropout)
    chain = layers.chain([first, *[body] * (network.depth - 1), last])
    initialise_real(chain, glorot)
    return nn.Sequential(OrderedDict([("flatten", nn.Flatten()), *chain.named_children()]))
