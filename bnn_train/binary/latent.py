"""The rules for latent weights: their bounds after every step, and how fast they learn."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from bnn_train.binary.inits import glorot
from bnn_train.binary.layers import BinaryLayer, quantized_layers

COEFFICIENTS: dict[str, Callable[[float], float]] = {
    "none": lambda coefficient: 1.0,
    "glorot": lambda coefficient: coefficient,
    "glorot_pow2": lambda coefficient: 2.0 ** round(math.log2(coefficient)),
}
"""By rule, the number that a layer's learning rate is divided by, from its Glorot coefficient."""


@torch.no_grad()
def enforce(model: nn.Module) -> None:
    """Centre and clip the latent weights, put frozen ones back; after the first initialisation and each step.

    XNOR-Net's code does this before each forward pass of training, which is the same weights, but
    evaluation then reads them as they are and changes nothing. Under ``clip_all`` the parameters beside them
    are clipped like them.
    """
    bounds: set[float] = set()
    for layer, quantizer in quantized_layers(model):
        latent = layer.method.latent
        if latent.center:
            layer.weight.sub_(layer.weight.mean(dim=1, keepdim=True))
        if latent.clip is not None:
            layer.weight.clamp_(-latent.clip, latent.clip)
            bounds |= {latent.clip} if latent.clip_all else set()
        if layer.weight_quantizer is not None:
            layer.weight_quantizer.quantizer.store(layer.weight)
        quantizer.progress.hold(layer.weight, quantizer.deterministic)
    for bound in bounds:
        for parameter in model.parameters():
            parameter.clamp_(-bound, bound)


def number(model: nn.Module) -> None:
    """Tell every quantized weight its place in the network's order: progress by layers asks, and samples."""
    quantized = list(quantized_layers(model))
    for index, (_, quantizer) in enumerate(quantized):
        quantizer.progress.stand(index, len(quantized))
        quantizer.quantizer.stand(index)


def lr_scale(layer: BinaryLayer, *, squared: bool) -> float:
    """The factor on the learning rate of a layer's latent weights: 1/glorot, squared under SGD.

    BinaryConnect §2.5: Adam's step does not depend on the gradient's size, SGD's does. BNN's Torch7 code
    rounds 1/glorot to a power of two in its networks for CIFAR-10 and SVHN, so that the rate is a shift.
    """
    coefficient = COEFFICIENTS[layer.method.latent.lr_scale](glorot(layer))
    return coefficient ** (-2 if squared else -1)
