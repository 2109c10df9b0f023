"""A checkpoint held against the network of its own config, before any memory is taken for it.

A checkpoint may come from anywhere. Its digest tells that it is whole, not that its parts belong together.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryLayer, binary_layers
from bnn_train.config.schema import Data, Experiment
from bnn_train.errors import CheckpointError
from bnn_train.models.build import build
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.inputs import input_shape, num_classes
from bnn_train.training.checkpoint import Checkpoint
from bnn_train.training.optimizers import Optimizers
from bnn_train.training.optimizers.kind import Kind

Sizes = dict[str, tuple[torch.dtype, tuple[int, ...]]]


def check_network(checkpoint: Checkpoint, experiment: Experiment) -> None:
    """Raise CheckpointError unless images, weights, average and signs are those of the config's network."""
    shape, wanted = tuple(checkpoint.state["shape"]), input_shape(experiment.data)
    if shape != wanted:
        raise _misfit(f"its images are {_times(shape)}, those of its data section {_times(wanted)}")
    _classes_fit(len(checkpoint.state["classes"]), experiment.data)
    model = _empty_model(checkpoint, experiment)
    own = _sizes(model.state_dict())
    _same(checkpoint, "model", own)
    if experiment.training.ema:
        averaged = {f"module.{name}": size for name, size in own.items()}
        _same(checkpoint, "ema", averaged | {"n_averaged": (torch.int64, ())})
    _signs_fit(checkpoint, model)
    for name, tensor in checkpoint.section("preprocess").items():
        if tensor.dtype != torch.float32:
            raise _misfit(f"preprocess.{name} is {tensor.dtype}")


def _classes_fit(found: int, data: Data) -> None:
    """An image folder has as many classes as it has, unless its config tells how many."""
    if data.num_classes is None and DATASETS[data.name].layout == "folder":
        return
    if found != num_classes(data):
        raise _misfit(f"it has {found} classes, its data section {num_classes(data)}")


def _empty_model(checkpoint: Checkpoint, experiment: Experiment) -> nn.Module:
    """The network of the config on torch's meta device, which takes no memory."""
    if getattr(experiment.model, "depth", 0) > len(checkpoint.tensors):
        raise _misfit("it has fewer tensors than its network has layers")
    classes = len(checkpoint.state["classes"])
    try:
        with torch.device("meta"):
            return build(experiment.model, experiment.method, input_shape(experiment.data), classes)
    except Exception as error:  # whatever a network makes of sizes that no config check has seen
        reason = str(error).partition("\n")[0]
        raise _misfit(f"that network cannot be built ({reason})") from None


def _same(checkpoint: Checkpoint, section: str, wanted: Sizes) -> None:
    found = _sizes(checkpoint.section(section))
    for name in sorted(wanted.keys() | found.keys()):
        if found.get(name) != wanted.get(name):
            told = f"{_size(found.get(name))}, in the network {_size(wanted.get(name))}"
            raise _misfit(f"{section}.{name}: {told}")


def _signs_fit(checkpoint: Checkpoint, model: nn.Module) -> None:
    """The codes of the last epoch: a plane for each bit of a weight, in release 0.1.0 one plane of signs."""
    wanted = {
        name: [_planes(layer, bits) for bits in (_bits(layer), 1)] for name, layer in binary_layers(model)
    }
    for name, size in _sizes(checkpoint.section("signs")).items():
        if size not in wanted.get(name, []):
            own = wanted[name][0] if name in wanted else None
            raise _misfit(f"signs.{name}: {_size(size)}, of the network {_size(own)}")


def _planes(layer: BinaryLayer, bits: int) -> tuple[torch.dtype, tuple[int, ...]]:
    quantizer = layer.weight_quantizer
    copies = 1 if quantizer is None else quantizer.spec.pre.copied
    return torch.uint8, (math.ceil(bits * layer.weight.numel() * copies / 8),)


def _bits(layer: BinaryLayer) -> int:
    return 1 if layer.weight_quantizer is None else layer.weight_quantizer.bits


def check_optimizers(tensors: dict[str, Tensor], optimizers: Optimizers) -> None:
    """Raise CheckpointError unless ``tensors`` are what these optimizers keep."""
    wanted = {place: _states(kind, parameter) for place, kind, parameter in optimizers.kept()}
    found: dict[str, Sizes] = defaultdict(dict)
    for key, tensor in tensors.items():
        place, _, state = key.rpartition(".")
        found[place][state] = _one(tensor)
    for place, states in found.items():
        own = wanted.get(place, {})
        other = next(
            (state for state in own.keys() | states.keys() if own.get(state) != states.get(state)), None
        )
        if other is not None:
            told = f"{_size(states.get(other))}, in the optimizer {_size(own.get(other))}"
            raise _misfit(f"optimizer.{place[:40]}.{other[:40]}: {told}")


def _states(kind: Kind, parameter: Tensor) -> Sizes:
    """The state that an optimizer may keep for a parameter."""
    states = {name: _one(parameter) for name in kind.state}
    return states if kind.steps is None else states | {"step": (kind.steps, ())}


def check_scaler(stored: Mapping[str, float], own: Mapping[str, object]) -> None:
    """Raise CheckpointError unless the loss scaler's numbers are those that a scaler keeps."""
    if own and stored and stored.keys() != own.keys():
        raise _misfit(f"scaler holds {_listed(stored)} instead of {_listed(own)}")


def _one(tensor: Tensor) -> tuple[torch.dtype, tuple[int, ...]]:
    return tensor.dtype, tuple(tensor.shape)


def _sizes(tensors: dict[str, Tensor]) -> Sizes:
    return {name: _one(tensor) for name, tensor in tensors.items()}


def _size(size: tuple[torch.dtype, tuple[int, ...]] | None) -> str:
    return "nothing" if size is None else f"{_times(size[1])} {str(size[0]).removeprefix('torch.')}"


def _times(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape)) or "one"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(name[:40] for name in names))


def _misfit(told: str) -> CheckpointError:
    return CheckpointError(f"the checkpoint does not fit the network of its own config: {told}; use another")
