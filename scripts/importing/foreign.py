"""Tensors of other people's checkpoints under our names."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from bnn_train.config.yaml_reader import read_yaml
from bnn_train.errors import CheckpointError

LAYOUTS = Path(__file__).with_name("layouts")
INSIDE = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts store a network's tensors beside other things."""


def tensors_of(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file: safetensors, or what ``torch.save`` wrote, of which nothing is executed
    (``weights_only``). Raises CheckpointError."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path}: holds more than tensors and plain values, and such a file could run code; save its"
            " state_dict() alone, where you trust it"
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {str(error).partition(chr(10))[0]}") from None
    while isinstance(found, Mapping) and not any(isinstance(value, Tensor) for value in found.values()):
        key = next((key for key in INSIDE if isinstance(found.get(key), Mapping)), None)
        if key is None:
            raise CheckpointError(f"{path}: holds no tensors under {', '.join(INSIDE)}")
        found = found[key]
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{path}: holds a {type(found).__name__}, and no tensors by name")
    named = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    return {key.removeprefix("module."): value for key, value in named.items()}  # of DataParallel


def names_of(layout: str) -> dict[str, str]:
    """Their modules → ours: a layout that lies here, or a YAML file. Raises CheckpointError."""
    own = LAYOUTS / f"{layout}.yaml"
    path = own if own.is_file() else Path(layout)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in LAYOUTS.glob("*.yaml")))
        raise CheckpointError(f"{layout}: no such file, and no layout; there are {known}")
    names = read_yaml(path, str(path)).data
    if not isinstance(names, dict) or not all(
        isinstance(word, str) for pair in names.items() for word in pair
    ):
        raise CheckpointError(f"{path}: must be a mapping of their modules to ours, like fc1: linear1")
    return names


def renamed(tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Tensors under the names of our modules; those of no module in ``names`` keep theirs.

    Raises CheckpointError for a module that has no tensors, and for two under one name.
    """
    found: dict[str, Tensor] = {}
    used = set()
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition(".")
        used.add(module)
        own = f"{names.get(module, module)}.{kind}"
        if own in found:
            raise CheckpointError(f"two tensors come under the name {own}; mend the map of names")
        found[own] = tensor
    if lost := names.keys() - used:
        modules = ", ".join(sorted(used)[:8])
        raise CheckpointError(
            f"the map of names has {min(lost)}, and the file has no such module, but {modules}"
        )
    return found
