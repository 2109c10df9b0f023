"""Histograms of latent weights: small enough to keep one of every layer for every epoch that is told."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from bnn_train.binary.layers import binary_layers

BINS = 60
"""Even, so that zero, where the sign changes, is an edge."""
TOLD = 50
"""Of a longer run about so many epochs are told, the first and the last among them."""


def latent_histograms(model: nn.Module) -> dict[str, dict[str, Any]]:
    """``edges``: per binary layer the largest |w|; ``counts``: those of ``BINS`` equal bins from −edge to
    +edge. Empty for a network without binary layers."""
    found = {name: _histogram(layer.weight.detach()) for name, layer in binary_layers(model)}
    if not found:
        return {}
    return {
        "edges": {name: edge for name, (edge, _) in found.items()},
        "counts": {name: counts for name, (_, counts) in found.items()},
    }


def _histogram(weights: Tensor) -> tuple[float, list[int]]:
    values = weights.float().cpu().numpy().ravel()
    values = values[np.isfinite(values)]
    edge = float(np.abs(values).max(initial=0.0)) or 1.0
    counts, _ = np.histogram(values, bins=BINS, range=(-edge, edge))
    return edge, counts.tolist()


def is_told(epoch: int, epochs: int) -> bool:
    """Whether the histograms of ``epoch`` (from 1) of so many are kept."""
    stride = -(-epochs // TOLD)
    return epoch in (1, epochs) or epoch % stride == 0
