"""BinaryDenseNet-28, -37, -45 (Bethge et al., arXiv 1906.08637)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from bnn_train.binary.channels import Concat
from bnn_train.binary.factory import Layers
from bnn_train.models.init import he_normal, initialise_real
from bnn_train.models.resnet import head, sequence
from bnn_train.models.sizes import Shape
from bnn_train.models.stems import stem
from bnn_train.spec.binary_networks import BinaryDenseNet28, StemmedNetwork


class Dense(nn.Module):
    """x, and behind its channels those of conv(sign(norm(x)))."""

    def __init__(self, layers: Layers, inputs: int, growth: int) -> None:
        super().__init__()
        self.body = normed_convolution(layers, inputs, growth)
        self.join = Concat()

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×(C + growth)×H×W."""
        joined: Tensor = self.join(x, self.body(x))
        return joined


def normed_convolution(layers: Layers, inputs: int, outputs: int) -> nn.Sequential:
    """Norm, the sign or ReLU that a body layer wants, 3×3 convolution."""
    conv = layers.conv("body", inputs, outputs, 3, padding=1)
    return sequence(layers.norm2d(inputs), layers.nonlinearity("body"), conv)


def transition(layers: Layers, inputs: int, outputs: int) -> nn.Sequential:
    """Norm, 2×2 maximum, ReLU, 1×1 convolution."""
    conv = layers.conv("downsample", inputs, outputs, 1)
    pool = nn.MaxPool2d(2, ceil_mode=True)
    return sequence(layers.norm2d(inputs), pool, layers.nonlinearity("downsample"), conv)


def normed_head(layers: Layers, features: int, classes: int) -> nn.Sequential:
    """Norm, ReLU, average, dense layer."""
    return head(layers, features, classes, layers.norm2d(features), layers.nonlinearity("last"))


Stage = Callable[[int, int], tuple[list[nn.Module], int, int]]
"""(number of the stage, channels) → blocks, channels behind them, channels behind the transition."""


def densenet(network: BinaryDenseNet28, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """Four stages of dense convolutions with three transitions that halve the map; N×C×H×W → N×classes.

    A transition keeps ⌊C/reduction⌋ channels, rounded to a multiple of half the width.
    """
    growth, unit = network.width, max(1, network.width // 2)

    def stage(i: int, channels: int) -> tuple[list[nn.Module], int, int]:
        blocks = [Dense(layers, channels + j * growth, growth) for j in range(network.layers[i])]
        channels += len(blocks) * growth
        kept = 0 if i == len(network.reductions) else channels // network.reductions[i]
        return [*blocks], channels, max(1, round(kept / unit)) * unit

    return staged(network, layers, shape, classes, stage, len(network.layers))


def staged(
    network: StemmedNetwork, layers: Layers, shape: Shape, classes: int, stage: Stage, stages: int
) -> nn.Sequential:
    """Stem, stages with transitions between them, head."""
    parts: list[tuple[str, nn.Module]] = [("stem", sequence(*stem(network, layers, shape)))]
    channels = network.width
    for i in range(stages):
        blocks, channels, narrowed = stage(i, channels)
        parts.append((f"stage{i + 1}", nn.Sequential(*blocks)))
        if i + 1 < stages:
            parts.append((f"transition{i + 1}", transition(layers, channels, narrowed)))
            channels = narrowed
    model = nn.Sequential(OrderedDict([*parts, ("head", normed_head(layers, channels, classes))]))
    initialise_real(model, he_normal)
    return model
