"""ResNet-18, -34 (He et al. 2015, table 1) and -20 (§4.2), with one residual block for every method."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.factory import Layers
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


class GlobalAverage(nn.AdaptiveAvgPool2d):
    """The mean of each map, whose gradient comes back in the layout of the maps.

    Torch's own comes back channels-first; down the residual stream of a channels-last network it then
    makes every batch norm's backward pass three times slower.
    """

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×C×1×1."""
        if x.requires_grad and x.is_contiguous(memory_format=torch.channels_last):
            x.register_hook(_channels_last)  # type: ignore[no-untyped-call]  # in torch;
            # a closure that held x would keep every step's graph alive
        return super().forward(x)


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


def resnet(
    layers: Layers, stem: nn.Module, widths: Sequence[int], blocks: Sequence[int], pads: bool, classes: int
) -> nn.Module:
    """Stem, stages of ``blocks`` residual blocks with ``widths`` channels, average, dense layer.

    Every stage but the first halves the map.
    """
    parts: list[tuple[str, nn.Module]] = [("stem", stem)]
    inputs = widths[0]
    for i, (outputs, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        parts.append((f"stage{i}", _stage(layers, inputs, outputs, count, 1 if i == 1 else 2, pads)))
        inputs = outputs
    model = nn.Sequential(OrderedDict([*parts, ("head", _head(layers, inputs, classes))]))
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
    act = nn.ReLU() if layers.method.block.norms_first else layers.stream(width)
    pool = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
    return sequence(conv, layers.norm2d(width), act, pool)


def _stage(layers: Layers, inputs: int, outputs: int, count: int, stride: int, pads: bool) -> nn.Sequential:
    blocks = _block(layers, inputs, outputs, stride, pads)
    for _ in range(count - 1):
        blocks += _block(layers, outputs, outputs, 1, pads)
    return nn.Sequential(*blocks)


def _block(layers: Layers, inputs: int, outputs: int, stride: int, pads: bool) -> list[nn.Module]:
    """Two 3×3 convolutions, with one shortcut around both or (Bi-Real Net) one around each."""
    first, second = convolution(layers, inputs, outputs, stride), convolution(layers, outputs, outputs, 1)
    side = _shortcut(layers, inputs, outputs, stride, pads)
    if layers.method.block.shortcut_per_conv:
        return [
            Residual(sequence(*first), side, layers.stream(outputs)),
            Residual(sequence(*second), nn.Identity(), layers.stream(outputs)),
        ]
    between = [] if layers.method.block.norms_first else [layers.nonlinearity("body")]
    return [Residual(sequence(*first, *between, *second), side, layers.stream(outputs))]


def convolution(layers: Layers, inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    conv = layers.conv("body", inputs, outputs, 3, stride=stride, padding=1)
    if layers.method.block.norms_first:
        return [layers.norm2d(inputs), layers.nonlinearity("body"), conv]
    return [conv, layers.norm2d(outputs)]


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
    if layers.method.block.norms_first:
        return sequence(pool, layers.norm2d(inputs), layers.nonlinearity("downsample"), pick, conv)
    return sequence(pool, pick, conv, layers.norm2d(outputs))


def _head(layers: Layers, features: int, classes: int) -> nn.Sequential:
    """Global average and the last layer.

    A last layer that quantizes its input has a norm before it: averages of bounded or rectified maps
    are far from centred on the threshold.
    """
    final = [layers.norm2d(features), layers.nonlinearity("last")] if layers.method.block.norms_first else []
    return head(layers, features, classes, *final)


def head(layers: Layers, features: int, classes: int, *final: nn.Module) -> nn.Sequential:
    """``final``, the global average, and the last layer with the norms that it and the method want around
    it."""
    centre = [layers.norm1d(features)] if layers.quantizes_input("last") else []
    output = [layers.norm1d(classes, output=True)] if layers.method.block.output_norm else []
    last = layers.linear("last", features, classes)
    return sequence(*final, GlobalAverage(), nn.Flatten(), *centre, last, *output)
