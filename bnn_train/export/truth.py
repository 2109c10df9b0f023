"""What every value of a packed program is in the torch network, in the packed layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bnn_train.binary.activations import QUANTIZERS
from bnn_train.binary.layers import BinaryConv2d, BinaryLayer
from bnn_train.errors import ExportError
from bnn_train.export.builder import Meaning
from bnn_train.export.emit import modules_of
from bnn_train.export.graph import Key, Shape, binary
from bnn_train.export.weights import code_of_key
from bnn_train.packed.bits import encode
from bnn_train.spec.method import ActivationSpec

Nodes = dict[str, Tensor]
Array = NDArray[Any]


def channel_last(value: Tensor, shape: Shape) -> NDArray[np.float32]:
    """N×C×H×W, or N×F of a flattened map, to N×H×W×C."""
    mapped = value.detach().reshape(len(value), *shape).permute(0, 2, 3, 1)
    return np.ascontiguousarray(mapped.numpy())


def truth(meaning: Meaning, shape: Shape, nodes: Nodes) -> Array:
    """A value in canonical layout. ``shape``: its C×H×W; ``nodes``: the traced network's values."""
    value = nodes[meaning.op.node]
    if meaning.scales is not None:
        return channel_last(_input_scale(meaning, value), shape)
    with torch.no_grad():
        for module in modules_of(meaning.then):
            value = module(value.flatten(1) if isinstance(module, nn.BatchNorm1d) else value)
    if meaning.key is None:
        return channel_last(value, shape)
    codes = channel_last(_codes(value, meaning.key), shape).astype(np.int32)
    return encode(codes, code_of_key(meaning.key))


def _codes(value: Tensor, key: Key) -> Tensor:
    kind, bits = key
    return QUANTIZERS[kind](value.detach().clone(), ActivationSpec(quantizer=kind, bits=bits), False)  # type: ignore[arg-type]  # a quantizer's name


def _input_scale(meaning: Meaning, value: Tensor) -> Tensor:
    """K of the layer itself, one channel for each group."""
    if meaning.scales is None:
        raise ExportError(f"{meaning.op.layer}: has no input scale")
    layer: BinaryLayer | None = binary(meaning.scales)
    with torch.no_grad():
        if not isinstance(layer, BinaryConv2d):
            return value.flatten(1).abs().mean(dim=1, keepdim=True)
        k = layer._input_scale(value)
    return k if layer.groups == 1 else k[:, :: layer.out_channels // layer.groups]
