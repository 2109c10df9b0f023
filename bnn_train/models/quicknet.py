"""QuickNet (Larq Zoo, sota/quicknet): made for speed on ARM, with hardly any real multiplication."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from bnn_train.binary.factory import Layers
from bnn_train.errors import BnnError
from bnn_train.models.init import glorot_normal, he_normal, initialise_real
from bnn_train.models.resnet import Residual, head, sequence
from bnn_train.models.sizes import Shape
from bnn_train.spec.binary_networks import QuickNet

KERAS_EPS, KERAS_MOMENTUM = 1e-3, 0.01
"""Keras' own, which the stem's norms keep."""


class Blur(nn.Conv2d):
    """Each map convolved with [1 2 1]⊗[1 2 1]/16, every second pixel kept; nothing here learns."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, stride=2, padding=1, groups=channels, bias=False)
        line = torch.tensor([1.0, 2.0, 1.0])
        self.weight = nn.Parameter((line.outer(line) / 16).expand(channels, 1, 3, 3).contiguous(), False)


def quicknet(network: QuickNet, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """Four sections of residual convolutions with three transitions; N×C×H×W → N×classes.

    A block is x + norm(ReLU(conv(sign x))), at one width and stride 1.
    """
    widths = network.widths
    parts: list[tuple[str, nn.Module]] = [("stem", _stem(network, layers, shape))]
    for i, count in enumerate(network.sections[network.size]):
        if i:
            parts.append((f"transition{i}", _transition(layers, *widths[i - 1 : i + 1])))
        parts.append((f"section{i + 1}", nn.Sequential(*(_block(layers, widths[i]) for _ in range(count)))))
    final = head(layers, widths[-1], classes, layers.nonlinearity("last"))
    model = nn.Sequential(OrderedDict([*parts, ("head", final)]))
    initialise_real(model, glorot_normal)
    initialise_real(model.get_submodule("stem"), he_normal)
    return model


def _stem(network: QuickNet, layers: Layers, shape: Shape) -> nn.Sequential:
    """3×3/2 and ReLU, depthwise 3×3/2, 1×1, each with a norm; or one 3×3 with a norm for small images (our
    choice: Larq's has no stem for them)."""
    width = network.widths[0]
    if network.stem_of(min(shape[1:])) == "small":
        return sequence(layers.conv("first", shape[0], width, 3, padding=1), layers.norm2d(width))
    if width % 4:
        raise BnnError(
            f"model {network.name}: the stem needs 4 to divide its {width} channels; set model.width"
        )
    quarter = width // 4
    stem = sequence(
        layers.conv("first", shape[0], quarter, 3, stride=2, padding=1),
        layers.norm2d(quarter),
        nn.ReLU(),
        layers.conv("first", quarter, quarter, 3, stride=2, padding=1, groups=quarter),
        layers.norm2d(quarter, affine=False),
        layers.conv("first", quarter, width, 1),
        layers.norm2d(width),
    )
    for norm in stem.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps, norm.momentum = KERAS_EPS, KERAS_MOMENTUM
    return stem


def _block(layers: Layers, channels: int) -> nn.Module:
    conv = layers.conv("body", channels, channels, 3, padding=1)
    return Residual(sequence(conv, nn.ReLU(), layers.norm2d(channels)), nn.Identity(), nn.Identity())


def _transition(layers: Layers, inputs: int, outputs: int) -> nn.Sequential:
    """ReLU, 2×2 maximum at every pixel, blur at every second, 1×1 convolution, norm."""
    conv = layers.conv("downsample", inputs, outputs, 1)
    return sequence(nn.ReLU(), nn.MaxPool2d(2, stride=1), Blur(inputs), conv, layers.norm2d(outputs))
