"""Scales that weigh by curvature get the optimizer's second moment; no layer knows an optimizer (LAB)."""

from __future__ import annotations

import torch
from torch import nn

from bnn_train.binary.layers import quantized_layers
from bnn_train.training.optimizers import Optimizers


@torch.no_grad()
def hand_over(model: nn.Module, optimizers: Optimizers) -> None:
    """Give each such scale E[g²] of its weight as the last step left it; nothing where none is kept."""
    for layer, quantizer in quantized_layers(model):
        if quantizer.scale.reads_curvature:
            moment = optimizers.second_moment(layer.weight)
            if moment is not None:
                quantizer.scale.take(moment)
