"""Tensors that earlier releases stored under another name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_LEARNED_SCALE = re.compile(r"^(model|ema)\.((?:.+\.)?)alpha$")
"""A learned α was the layer's own in release 0.1.0."""


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a checkpoint by today's names."""
    return {_today(name): tensor for name, tensor in tensors.items()}


def _today(name: str) -> str:
    found = _LEARNED_SCALE.match(name)
    if found is None or found[2].endswith("weight_quantizer.scale."):
        return name
    return f"{found[1]}.{found[2]}weight_quantizer.scale.alpha"
