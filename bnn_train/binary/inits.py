"""The latent weights that training starts from, by the name of ``LatentSpec.init``."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnn_train.binary.sign import sign
from bnn_train.binary.strengths import strengths

CUT_OFF = 0.87962566103423978
"""Standard deviation of a normal number that is redrawn beyond ±2."""


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


Draw = Callable[[nn.Module, Tensor], object]
"""Fills a layer's weight, which is handed in beside it."""


def _normal(fan: int) -> Draw:
    return lambda layer, weight: weight.normal_(0, math.sqrt(2 / fans(layer)[fan]))


def _uniform(bound: Callable[[nn.Module], float]) -> Draw:
    return lambda layer, weight: weight.uniform_(-bound(layer), bound(layer))


def truncated_normal(weight: Tensor, deviation: float) -> Tensor:
    """Normal numbers without those beyond two deviations, widened so that the rest has the deviation asked
    for: Keras' ``VarianceScaling``."""
    wide = deviation / CUT_OFF
    return nn.init.trunc_normal_(weight, 0.0, wide, -2 * wide, 2 * wide)


INITS: dict[str, Draw] = {
    "uniform": _uniform(lambda layer: 1.0),
    "glorot": _uniform(glorot),
    "he_in": _normal(0),
    "he_out": _normal(1),
    "normal_005": lambda layer, weight: weight.normal_(0, 0.05),
    "glorot_normal": lambda layer, weight: truncated_normal(weight, math.sqrt(2 / sum(fans(layer)))),
    "glorot_uniform": _uniform(lambda layer: math.sqrt(6 / sum(fans(layer)))),
    "uniform_0001": lambda layer, weight: weight.uniform_(0, 1e-3),
    "torch": _uniform(lambda layer: fans(layer)[0] ** -0.5),
    "connections": lambda layer, weight: weight.uniform_().mul_(strengths(weight)),
    "sign": lambda layer, weight: weight.copy_(sign(weight.uniform_(-1, 1))),
}
