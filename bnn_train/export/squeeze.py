"""Channels whose gates are closed, taken out of the network that is exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.export.graph import ELEMENTWISE, Graph, Op, binary

CHANNELWISE = (*ELEMENTWISE, "maxpool", "avgpool")
"""Operations that make each channel of its own alone."""
Layer = BinaryConv2d | BinaryLinear


@torch.no_grad()
def squeeze(model: nn.Module, graph: Graph) -> list[str]:
    """Remove closed channels from a network in evaluation mode, in place, where that changes no result: the
    filters that make them, what stands between, and their part of the filters that read them; a sentence on
    what became of them."""
    removed = kept = channels = 0
    for op in graph.ops:
        layer = binary(op) if op.kind == "product" else None
        if layer is None or layer.input_quantizer is None or layer.input_quantizer.quantizer.open is None:
            continue
        is_open = layer.input_quantizer.quantizer.open
        closed = int((~is_open).sum())
        channels += len(is_open)
        if _removed(op, layer, is_open):
            removed += closed
        else:
            kept += closed
    if not channels:
        return []
    told = [f"{removed} of {channels} channels with gates are closed and were removed"]
    return [*told, f"{kept} more stay as zeros, with two bits a number"] if kept else told


def _removed(op: Op, layer: Layer, is_open: Tensor) -> bool:
    """Whether the closed channels of a product's input could be removed, and now are."""
    if bool(is_open.all()):
        _drop_gates(layer)
        return True
    between = _between(op)
    if not bool(is_open.any()) or between is None or not _plain(layer):
        return False
    source, *path = between
    maker = source.module
    if not isinstance(maker, nn.Conv2d | nn.Linear) or not _sliceable(maker):
        return False
    kept = torch.nonzero(is_open).flatten()
    if not _reads(layer, kept):
        return False
    if not _makes(maker, kept):
        raise RuntimeError(f"{source.layer}: its filters hang on each other")  # _sliceable excludes it
    for step in path:
        _slice(step.module, kept, len(is_open))
    _drop_gates(layer)
    return True


def _between(op: Op) -> list[Op] | None:
    """The product that makes the channels of this one's input, and what stands between; None where anything
    else reads them, or they are no channels of a product."""
    path: list[Op] = []
    value = op.inputs[0]
    while len(value.users) == 1 and value.kind in CHANNELWISE:
        path.insert(0, value)
        value = value.inputs[0]
    return [value, *path] if value.kind == "product" and len(value.users) == 1 else None


def _plain(layer: Layer) -> bool:
    """Whether nothing but the weight and the gates has a number for an input channel."""
    inputs = layer.input_quantizer
    groups = layer.groups if isinstance(layer, BinaryConv2d) else 1
    return groups == 1 and inputs is not None and len(list(inputs.parameters())) == 1


def _sliceable(maker: nn.Conv2d | nn.Linear) -> bool:
    """Whether a filter can go without the others being told."""
    if isinstance(maker, nn.Conv2d) and maker.groups != 1:
        return False
    if not isinstance(maker, BinaryConv2d | BinaryLinear):
        return True
    quantizer = maker.weight_quantizer
    own: list[Tensor] = [*maker.output_scale.parameters()]
    if quantizer is not None:
        own += [*quantizer.parameters(), *quantizer.buffers()]
        if quantizer.spec.per_layer and quantizer.spec.scale.scales:
            return False
    return not own


def _reads(layer: Layer, kept: Tensor) -> bool:
    """Take input channels out of the filters of a layer, unless the codes or factors of those that stay would
    be others."""
    before, weight = layer.read_weight(), layer.weight
    layer.weight = nn.Parameter(weight[:, kept].clone())
    if not torch.equal(layer.read_weight(), before[:, kept]):
        layer.weight = weight
        return False
    _resize(layer, inputs=len(kept))
    return True


def _makes(maker: nn.Conv2d | nn.Linear, kept: Tensor) -> bool:
    before = maker.read_weight() if isinstance(maker, BinaryConv2d | BinaryLinear) else maker.weight
    maker.weight = nn.Parameter(maker.weight[kept].clone())
    if maker.bias is not None:
        maker.bias = nn.Parameter(maker.bias[kept].clone())
    after = maker.read_weight() if isinstance(maker, BinaryConv2d | BinaryLinear) else maker.weight
    _resize(maker, outputs=len(kept))
    return torch.equal(after, before[kept])


def _resize(layer: nn.Conv2d | nn.Linear, **sizes: int) -> None:
    ending = "channels" if isinstance(layer, nn.Conv2d) else "features"
    for key, size in sizes.items():
        setattr(layer, f"{'in' if key == 'inputs' else 'out'}_{ending}", size)


def _slice(module: nn.Module | None, kept: Tensor, channels: int) -> None:
    """Take channels out of what has a number for each."""
    if module is None:
        return
    for name, parameter in list(module.named_parameters()):
        if parameter.shape[:1] == (channels,):
            _put(module, name, nn.Parameter(parameter[kept].clone()))
    for name, buffer in list(module.named_buffers()):
        if buffer.shape[:1] == (channels,):
            _put(module, name, buffer[kept].clone())
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        module.num_features = len(kept)


def _put(module: nn.Module, name: str, value: Tensor) -> None:
    owner, _, key = name.rpartition(".")
    setattr(module.get_submodule(owner), key, value)


def _drop_gates(layer: Layer) -> None:
    if layer.input_quantizer is not None:
        layer.input_quantizer.quantizer.drop_gates()
        layer.input_quantizer.channels = layer.weight.shape[1]
