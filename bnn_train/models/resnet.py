"""ResNet-18, -34 (He et al. 2015, table 1) and -20 (§4.2), with one residual block for every method."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.factory import LEADS, Layers
from bnn_train.binary.global_average import GlobalAverage
from bnn_train.models.groups import Group, Groups
from bnn_train.models.init import he_out, initialise_real
from bnn_train.models.sizes import Shape
from bnn_train.spec.networks import ResNet18, ResNet20

ONEDNN_BLOCK = 16
"""Channels. Below them the gradient of a strided 1×1 convolution writes past its memory on AVX2 and AVX-512
CPUs (github.com/uxlfoundation/oneDNN/issues/6035)."""


class Residual(nn.Module):
    """act(body(x) + shortcut(x))."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.act = body, shortcut, act

    def forward(self, x: Tensor) -> Tensor:
        """N×I×H×W → N×O×H′×W′."""
        return self.act(self.body(x) + self.shortcut(x))  # type: ignore[no-any-return]  # modules return Any


class PadShortcut(nn.Module):
    """Type A: every ``stride``-th pixel; the new channels are zeros, half before and half after."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (outputs - inputs) // 2
        self.behind = outputs - inputs - self.before

    def forward(self, x: Tensor) -> Tensor:
        """N×I×H×W → N×O×⌈H/stride⌉×⌈W/stride⌉."""
        # a 1×1 max-pool picks the same pixels as a strided slice, but its gradient keeps the layout
        picked = F.max_pool2d(x, 1, self.stride)
        return F.pad(picked, (0, 0, 0, 0, self.before, self.behind))


def resnet(
    layers: Layers, stem: nn.Module, widths: Sequence[int], blocks: Sequence[int], pads: bool, classes: int
) -> nn.Module:
    """Stem, stages of ``blocks`` residual blocks with ``widths`` channels, average, dense layer.

    Every stage but the first halves the map.
    """
    stages = _sizes(widths, blocks)
    copies = layers.method.block.branches
    body: list[tuple[str, nn.Module]]
    if copies > 1:
        body = [("groups", _groups(layers, [size for stage in stages for size in stage], pads, copies))]
    else:
        body = [(f"stage{i}", _stage(layers, stage, pads)) for i, stage in enumerate(stages, start=1)]
    head = _head(layers, widths[-1], classes)
    model = nn.Sequential(OrderedDict([("stem", stem), *body, ("head", head)]))
    initialise_real(model, he_out, kinds=(nn.Conv2d,))
    return model


def resnet18(network: ResNet18, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """Stages of 2, 2, 2, 2 blocks; N×C×H×W → N×classes."""
    return _resnet_imagenet(network, layers, shape, classes, (2, 2, 2, 2))


def resnet34(network: ResNet18, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """Stages of 3, 4, 6, 3 blocks; N×C×H×W → N×classes."""
    return _resnet_imagenet(network, layers, shape, classes, (3, 4, 6, 3))


def _resnet_imagenet(
    network: ResNet18, layers: Layers, shape: Shape, classes: int, blocks: Sequence[int]
) -> nn.Module:
    stem = _stem(layers, shape[0], network.width, small=network.small_stem(min(shape[1:])))
    widths = [network.width * 2**i for i in range(4)]
    return resnet(layers, stem, widths, blocks, network.shortcut == "A", classes)


def resnet20(network: ResNet20, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """Three stages of 3 blocks behind a 3×3 stem; N×C×H×W → N×classes."""
    stem = _stem(layers, shape[0], network.width, small=True)
    widths = [network.width * 2**i for i in range(3)]
    return resnet(layers, stem, widths, (3, 3, 3), network.shortcut == "A", classes)


def sequence(*modules: nn.Module) -> nn.Sequential:
    """The modules one after the other, without those that do nothing."""
    return nn.Sequential(*(m for m in modules if not isinstance(m, nn.Identity)))


def _stem(layers: Layers, channels: int, width: int, *, small: bool) -> nn.Sequential:
    """The first convolution and what makes its output the residual stream."""
    kernel, stride = (3, 1) if small else (7, 2)
    conv = layers.conv("first", channels, width, kernel, stride=stride, padding=kernel // 2)
    act = layers.stem_activation(width)
    pool = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
    return sequence(conv, layers.norm2d(width), act, pool)


Size = tuple[int, int, int]
"""Input and output channels of a block, and its stride."""


def _sizes(widths: Sequence[int], blocks: Sequence[int]) -> list[list[Size]]:
    """The blocks of each stage; the first of all stages but one halves the map."""
    before = [widths[0], *widths]
    return [
        [(inputs, outputs, 1 if outputs == inputs else 2), *[(outputs, outputs, 1)] * (count - 1)]
        for inputs, outputs, count in zip(before, widths, blocks, strict=False)
    ]


def _stage(layers: Layers, blocks: Sequence[Size], pads: bool) -> nn.Sequential:
    return nn.Sequential(*(module for size in blocks for module in _block(layers, *size, pads)))


def _groups(layers: Layers, blocks: Sequence[Size], pads: bool, copies: int) -> nn.Module:
    made = ([sequence(*_block(layers, *size, pads)) for _ in range(copies)] for size in blocks)
    return Groups([Group(branches, mixes=i > 0) for i, branches in enumerate(made)])


def _block(layers: Layers, inputs: int, outputs: int, stride: int, pads: bool) -> list[nn.Module]:
    """Two 3×3 convolutions, with one shortcut around both or (Bi-Real Net) one around each."""
    inner = not layers.method.block.shortcut_per_conv
    first = convolution(layers, inputs, outputs, stride)
    second = convolution(layers, outputs, outputs, 1, alone=inner)
    side = _shortcut(layers, inputs, outputs, stride, pads)
    if layers.method.block.shortcut_per_conv:
        return [
            Residual(sequence(*first), side, layers.stream(outputs)),
            Residual(sequence(*second), nn.Identity(), layers.stream(outputs)),
        ]
    between = [] if layers.method.block.norms_first else [layers.nonlinearity("body")]
    return [Residual(sequence(*first, *between, *second), side, layers.stream(outputs))]


def convolution(
    layers: Layers, inputs: int, outputs: int, stride: int, *, alone: bool = False
) -> list[nn.Module]:
    conv = layers.conv("body", inputs, outputs, 3, stride=stride, padding=1, alone=alone)
    act = layers.behind_conv(outputs)
    if layers.method.block.norms_first:
        behind = [nn.ReLU()] if layers.method.block.product_relu else []
        return [layers.norm2d(inputs), layers.nonlinearity("body"), conv, *behind, act]
    return [conv, act, layers.norm2d(outputs)]


def _shortcut(layers: Layers, inputs: int, outputs: int, stride: int, pads: bool) -> nn.Module:
    if (inputs, stride) == (outputs, 1):
        return nn.Identity()
    if pads:
        return PadShortcut(inputs, outputs, stride)
    pooled = layers.method.block.pools_shortcut
    # ceil_mode: an odd map halves upwards, as it does in the 3×3 convolution beside it
    pool = nn.AvgPool2d(stride, ceil_mode=True) if pooled else nn.Identity()
    narrow = inputs < ONEDNN_BLOCK
    pick = nn.MaxPool2d(1, stride) if narrow and not pooled else nn.Identity()
    conv = layers.conv("downsample", inputs, outputs, 1, stride=1 if pooled or narrow else stride)
    if layers.method.block.norms_first and not pooled:
        return sequence(pool, layers.norm2d(inputs), layers.nonlinearity("downsample"), pick, conv)
    return sequence(pool, pick, conv, layers.norm2d(outputs))


def _head(layers: Layers, features: int, classes: int) -> nn.Sequential:
    """Global average and the last layer.

    A last layer that quantizes its input has a norm before it: averages of bounded or rectified maps
    are far from centred on the threshold.
    """
    block = layers.method.block
    normalized, activated = LEADS[block.before_last] if block.norms_first else (False, False)
    final: list[nn.Module] = [layers.norm2d(features)] if normalized else []
    final += [layers.nonlinearity("last")] if activated else []
    return head(layers, features, classes, *final)


def head(layers: Layers, features: int, classes: int, *final: nn.Module) -> nn.Sequential:
    """``final``, the global average, and the last layer with the norms that it and the method want around
    it."""
    centre = [layers.norm1d(features)] if layers.bends_input("last") else []
    output = [layers.norm1d(classes, output=True)] if layers.method.block.output_norm else []
    last = layers.linear("last", features, classes)
    return sequence(*final, GlobalAverage(), nn.Flatten(), *centre, last, *output)
