"""Network in Network as the XNOR-Net port has it (CIFAR_10/models/nin.py)."""

from __future__ import annotations

from torch import nn

from bnn_train.binary.factory import ChainLayer, Layers
from bnn_train.models.init import initialise_real, normal_005
from bnn_train.models.sizes import Shape
from bnn_train.spec.networks import NIN


def nin(network: NIN, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """Nine convolutions in three groups; N×C×H×W → N×classes.

    The last layer's maps pass a ReLU before they are averaged, as in the port, so that logits are
    never negative unless the method normalizes them.
    """
    average = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    drop = network.dropout
    chain = layers.chain(
        [
            ChainLayer(role="first", kind="conv", inputs=shape[0], outputs=192, kernel=5, padding=2),
            _body(192, 160),
            _body(160, 96, pool=nn.MaxPool2d(3, 2, padding=1)),
            _body(96, 192, kernel=5, dropout=drop),
            _body(192, 192),
            _body(192, 192, pool=nn.AvgPool2d(3, 2, padding=1)),
            _body(192, 192, kernel=3, dropout=drop),
            _body(192, 192),
            ChainLayer(role="last", kind="conv", inputs=192, outputs=classes, pool=average),
        ]
    )
    chain.add_module("flatten", nn.Flatten())
    initialise_real(chain, normal_005)
    return chain


def _body(
    inputs: int, outputs: int, *, kernel: int = 1, pool: nn.Module | None = None, dropout: float = 0.0
) -> ChainLayer:
    return ChainLayer(
        role="body",
        kind="conv",
        inputs=inputs,
        outputs=outputs,
        kernel=kernel,
        padding=kernel // 2,
        pool=pool,
        dropout=dropout,
    )
