"""Every value of a packed program as the torch network has it, in the packed layout: the expected numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryConv2d
from bnn_train.errors import ExportError
from bnn_train.export.builder import Meaning
from bnn_train.export.emit import modules_of
from bnn_train.export.graph import Shape, binary
from bnn_train.packed.bits import encode, pack_words
from bnn_train.packed.program import Planes

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
    found, code = meaning.key.quantizer.decompose(value), meaning.key.code
    if isinstance(code, Planes):
        signs = np.stack([channel_last(basis, shape) for basis in found.numbers], axis=-2)
        return pack_words(signs < 0)
    return encode(channel_last(found.numbers, shape).astype(np.int32), code)


def _input_scale(meaning: Meaning, value: Tensor) -> Tensor:
    """K of the layer itself, one channel for each group."""
    if meaning.scales is None:
        raise ExportError(f"{meaning.op.layer}: has no input scale")
    layer = binary(meaning.scales)
    with torch.no_grad():
        read = value if isinstance(layer, BinaryConv2d) else value.flatten(1)
        k = None if layer is None else layer.input_scale(read)
    if k is None:
        raise ExportError(f"{meaning.op.layer}: has no input scale")
    return k
