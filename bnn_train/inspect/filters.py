"""The filters of a network's first layer, as small images: what they weigh where in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bnn_train.binary.layers import BinaryLayer

MOST = 64
"""Filters that are shown; the first ones."""


@dataclass(frozen=True)
class Filters:
    """Filters of one layer, N×H×W×C."""

    layer: str
    total: int
    """How many the layer has."""
    values: NDArray[np.float32]
    """The trained numbers: latent weights in a binary layer."""
    codes: NDArray[np.float32] | None
    """The numbers that the forward pass multiplies with; None in a real layer."""


def first_filters(model: nn.Module, shape: Sequence[int]) -> Filters | None:
    """Of the first layer that reads the image (C, H, W); None where its weights make no picture."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            return _filters(name, module, shape)
    return None


@torch.no_grad()
def _filters(name: str, layer: nn.Conv2d | nn.Linear, shape: Sequence[int]) -> Filters | None:
    weight = layer.weight.detach().float().cpu()
    if weight.dim() == 2:
        if weight.shape[1] != shape[0] * shape[1] * shape[2]:
            return None
        weight = weight.view(-1, *shape)
    if weight.shape[1] not in (1, 3) or weight.shape[2] * weight.shape[3] == 1:
        return None
    codes = None
    if isinstance(layer, BinaryLayer) and layer.weight_quantizer is not None:
        codes = layer.codes().value.detach().float().cpu().view(weight.shape)
    return Filters(name, len(weight), _pictures(weight), None if codes is None else _pictures(codes))


def _pictures(weight: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(weight[:MOST].permute(0, 2, 3, 1).numpy())
