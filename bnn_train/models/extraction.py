"""Darknet's Extraction network, the "GoogLeNet variant" of XNOR-Net's table 2 (cfg/extraction.cfg)."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from bnn_train.binary.factory import ChainLayer, Layers
from bnn_train.models.init import he_out, initialise_real
from bnn_train.models.sizes import Shape, require
from bnn_train.spec.method import Role
from bnn_train.spec.network_options import IMAGENET_FROM
from bnn_train.spec.networks import Extraction

# (channels, kernel) of each stage; a 2×2 pooling behind all but the last.
STAGES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((192, 3),),
    ((128, 1), (256, 3), (256, 1), (512, 3)),
    (*((256, 1), (512, 3)) * 4, (512, 1), (1024, 3)),
    ((512, 1), (1024, 3)) * 2,
)


def extraction(network: Extraction, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """21 convolutions without biases, a global average; N×C×H×W → N×classes."""
    require(network, shape)
    stages = [(64, 7), *(layer for stage in STAGES for layer in stage)]
    widths = [max(1, round(channels * network.width)) for channels, _ in stages]
    large = shape[1] >= IMAGENET_FROM
    first = _layer("first", shape[0], widths[0], 7 if large else 3, stride=2 if large else 1, pools=large)
    last = ChainLayer(
        role="last", kind="conv", inputs=widths[-1], outputs=classes, pool=nn.AdaptiveAvgPool2d(1)
    )
    body = [
        _layer("body", inputs, outputs, kernel, pools=pools)
        for (inputs, outputs), (kernel, pools) in zip(pairwise(widths), _kernels(), strict=True)
    ]
    chain = layers.chain([first, *body, last])
    chain.add_module("flatten", nn.Flatten())
    initialise_real(chain, he_out)
    return chain


def _kernels() -> list[tuple[int, bool]]:
    """Kernel of each layer of the stages, and whether a pooling follows."""
    return [
        (kernel, i == len(stage) - 1 and stage is not STAGES[-1])
        for stage in STAGES
        for i, (_, kernel) in enumerate(stage)
    ]


def _layer(role: Role, inputs: int, outputs: int, kernel: int, *, stride: int = 1, pools: bool) -> ChainLayer:
    return ChainLayer(
        role=role,
        kind="conv",
        inputs=inputs,
        outputs=outputs,
        kernel=kernel,
        stride=stride,
        padding=kernel // 2,
        bias=False,
        pool=nn.MaxPool2d(2) if pools else None,
    )
