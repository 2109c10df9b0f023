"""The stems of Bethge et al. and of Larq: real layers between the image and the first binary one."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bnn_train.binary.factory import Layers
from bnn_train.errors import BnnError
from bnn_train.models.sizes import Shape
from bnn_train.spec.binary_networks import StemmedNetwork

GROUPED_WIDTHS = 16
"""The number that divides the width of a grouped stem, half of which is read in 8 groups."""


def stem(network: StemmedNetwork, layers: Layers, shape: Shape) -> list[nn.Module]:
    """C×H×W → width×H′×W′. Raises BnnError for a width that the stem's groups do not divide.

    Larq's poolings and strided convolutions put odd borders right and below, these as torch does on all
    sides.
    """
    return STEMS[network.stem_of(min(shape[1:]))](network, layers, shape[0])


def _small(network: StemmedNetwork, layers: Layers, channels: int) -> list[nn.Module]:
    return [layers.conv("first", channels, network.width, 3, padding=1)]


def _imagenet(network: StemmedNetwork, layers: Layers, channels: int) -> list[nn.Module]:
    conv = layers.conv("first", channels, network.width, 7, stride=2, padding=3)
    return [conv, layers.norm2d(network.width), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]


def _grouped(network: StemmedNetwork, layers: Layers, channels: int) -> list[nn.Module]:
    """3×3/2, 3×3 in 4 groups, 3×3 in 8 groups, each with norm and ReLU (MeliusNet, figure 3)."""
    width = network.width
    if width % GROUPED_WIDTHS:
        raise BnnError(
            f"model {network.name}: a grouped stem needs a width that {GROUPED_WIDTHS} divides, not {width};"
            " set model.width or model.stem"
        )
    half = width // 2
    parts: list[nn.Module] = []
    for inputs, outputs, stride, groups in ((channels, half, 2, 1), (half, half, 1, 4), (half, width, 1, 8)):
        conv = layers.conv("first", inputs, outputs, 3, stride=stride, padding=1, groups=groups)
        parts += [conv, layers.norm2d(outputs), nn.ReLU()]
    return [*parts, nn.MaxPool2d(2, ceil_mode=True)]


STEMS: dict[str, Callable[[StemmedNetwork, Layers, int], list[nn.Module]]] = {
    "small": _small,
    "imagenet": _imagenet,
    "grouped": _grouped,
}
