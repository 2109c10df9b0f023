"""The rules for latent weights: how they begin, what holds after every step, how fast they learn."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from bnn_train.binary.layers import BinaryLayer, binary_layers
from bnn_train.binary.sign import sign


def fans(layer: nn.Module) -> tuple[int, int]:
    """(fan_in, fan_out) of a layer's O×(I/groups)×Kh×Kw or O×I weight: k²·inputs and k²·outputs."""
    weight = layer.weight
    if not isinstance(weight, torch.Tensor):
        raise TypeError(f"{type(layer).__name__} has no weight")
    taps = math.prod(weight.shape[2:])
    return weight.shape[1] * taps, weight.shape[0] * taps


def glorot(layer: nn.Module) -> float:
    """√(1.5/(fan_in + fan_out)), BinaryConnect's coefficient (binary_connect.py)."""
    return math.sqrt(1.5 / sum(fans(layer)))


def _normal(fan: int) -> Callable[[BinaryLayer], object]:
    return lambda layer: layer.weight.normal_(0, math.sqrt(2 / fans(layer)[fan]))


def _uniform(bound: Callable[[nn.Module], float]) -> Callable[[BinaryLayer], object]:
    return lambda layer: layer.weight.uniform_(-bound(layer), bound(layer))


INITS: dict[str, Callable[[BinaryLayer], object]] = {
    "uniform": _uniform(lambda layer: 1.0),
    "glorot": _uniform(glorot),
    "he_in": _normal(0),
    "he_out": _normal(1),
    "normal_005": lambda layer: layer.weight.normal_(0, 0.05),
    "sign": lambda layer: layer.weight.copy_(sign(layer.weight.uniform_(-1, 1))),
}


@torch.no_grad()
def initialise(layer: BinaryLayer) -> None:
    """Draw the latent weights as the method says; bias 0."""
    INITS[layer.method.latent.init](layer)
    layer.start_alpha()
    if layer.bias is not None:
        layer.bias.zero_()


@torch.no_grad()
def enforce(model: nn.Module) -> None:
    """Centre and clip the latent weights; after the first initialisation and after every step.

    XNOR-Net's code does this before each forward pass of training, which is the same weights, but
    evaluation then reads them as they are and changes nothing.
    """
    for _, layer in binary_layers(model):
        latent = layer.method.latent
        if latent.center:
            layer.weight.sub_(layer.weight.mean(dim=1, keepdim=True))
        if latent.clip is not None:
            layer.weight.clamp_(-latent.clip, latent.clip)


def lr_scale(layer: BinaryLayer, *, squared: bool) -> float:
    """The factor on the learning rate of a layer's latent weights: 1/glorot, squared under SGD.

    BinaryConnect §2.5: Adam's step does not depend on the gradient's size, SGD's does. BNN's Torch7 code
    rounds 1/glorot to a power of two in its networks for CIFAR-10 and SVHN, so that the rate is a shift.
    """
    rule = layer.method.latent.lr_scale
    if rule == "none":
        return 1.0
    coefficient = glorot(layer)
    if rule == "glorot_pow2":
        coefficient = 2.0 ** round(math.log2(coefficient))
    return coefficient ** (-2 if squared else -1)
