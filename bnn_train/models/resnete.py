"""ResNetE-18 and -34 (Bethge et al., arXiv 1906.08637): x + norm(conv(sign x)) around every convolution."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from bnn_train.binary.factory import Layers
from bnn_train.models.init import glorot_normal, he_normal, initialise_real
from bnn_train.models.resnet import Residual, convolution, head, sequence
from bnn_train.models.sizes import Shape
from bnn_train.models.stems import stem
from bnn_train.spec.binary_networks import ResNetE18


def resnete(network: ResNetE18, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """Four stages of residual convolutions, of which all but the first halve the map; N×C×H×W → N×classes.

    Where widths differ, the shortcut is a 2×2 average, a 1×1 convolution and a norm. ReLU before the average.
    """
    began = stem(network, layers, shape)
    if len(began) > 1:  # behind a pooling
        began.append(layers.norm2d(network.width))
    parts: list[tuple[str, nn.Module]] = [("stem", sequence(*began))]
    inputs = network.width
    for i, count in enumerate(network.convolutions):
        outputs = network.width * 2**i
        parts.append((f"stage{i + 1}", _stage(layers, inputs, outputs, count, 2 if i else 1)))
        inputs = outputs
    final = layers.nonlinearity("last")
    before = [layers.norm2d(inputs), final] if layers.method.block.norms_first else [final]
    model = nn.Sequential(OrderedDict([*parts, ("head", head(layers, inputs, classes, *before))]))
    initialise_real(model, glorot_normal)
    initialise_real(model.get_submodule("stem"), he_normal)
    return model


def _stage(layers: Layers, inputs: int, outputs: int, count: int, stride: int) -> nn.Sequential:
    blocks = [_block(layers, inputs, outputs, stride)]
    blocks += [_block(layers, outputs, outputs, 1) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


def _block(layers: Layers, inputs: int, outputs: int, stride: int) -> nn.Module:
    side: nn.Module = nn.Identity()
    if inputs != outputs:
        conv = layers.conv("downsample", inputs, outputs, 1)
        side = sequence(nn.AvgPool2d(2, ceil_mode=True), conv, layers.norm2d(outputs))
    body = sequence(*convolution(layers, inputs, outputs, stride))
    return Residual(body, side, layers.stream(outputs))
