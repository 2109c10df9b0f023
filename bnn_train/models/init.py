"""Initial values of the real-valued layers; binary layers and batch norms begin as their method says."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnn_train.binary.inits import truncated_normal
from bnn_train.binary.layers import BinaryLayer

Draw = Callable[[Tensor], Tensor]


def he_in(weight: Tensor) -> Tensor:
    """N(0, √(2/fan_in)): XNOR-Net's util.lua."""
    return nn.init.kaiming_normal_(weight, mode="fan_in")


def he_out(weight: Tensor) -> Tensor:
    """N(0, √(2/(k²·outputs))): fb.resnet.torch."""
    return nn.init.kaiming_normal_(weight, mode="fan_out")


def torch_own(weight: Tensor) -> Tensor:
    """U(±1/√fan_in): PyTorch's default."""
    bound = weight[0].numel() ** -0.5
    return nn.init.uniform_(weight, -bound, bound)


def glorot(weight: Tensor) -> Tensor:
    """U(±√(6/(fan_in + fan_out))): the default of Keras, and of Lasagne, so BinaryConnect's real twins."""
    return nn.init.xavier_uniform_(weight)


def glorot_normal(weight: Tensor) -> Tensor:
    """N(0, √(2/(fan_in + fan_out))) cut off at two deviations: Keras'."""
    taps = weight[0, 0].numel()
    return truncated_normal(weight, math.sqrt(2 / (taps * (weight.shape[0] + weight.shape[1]))))


def he_normal(weight: Tensor) -> Tensor:
    """N(0, √(2/fan_in)) cut off at two deviations: Keras'."""
    return truncated_normal(weight, math.sqrt(2 / weight[0].numel()))


def normal_005(weight: Tensor) -> Tensor:
    """N(0, 0.05): the XNOR-Net port's NIN."""
    return nn.init.normal_(weight, std=0.05)


CHOSEN: dict[str, Draw | None] = {
    "own": None,
    "glorot_uniform": glorot,
    "glorot_normal": glorot_normal,
    "torch": torch_own,
}
"""By the ``init`` of a network's options; None: what the network draws by itself."""


@torch.no_grad()
def initialise_real(
    model: nn.Module, draw: Draw, kinds: tuple[type[nn.Module], ...] = (nn.Conv2d, nn.Linear)
) -> None:
    """Draw the weights of the real layers of these kinds; biases of all real layers become 0."""
    for layer in model.modules():
        if isinstance(layer, BinaryLayer) or not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        if isinstance(layer, kinds) and layer.weight.requires_grad:
            draw(layer.weight)
        if layer.bias is not None:
            layer.bias.zero_()
