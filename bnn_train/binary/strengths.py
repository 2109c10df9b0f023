"""The fixed strengths of connections: ±1 by the type of an input and the pattern of a neuron."""

from __future__ import annotations

import torch
from torch import Tensor

PATTERNS = ((0, 0, 1, 1), (0, 1, 0, 1), (0, 1, 1, 0), (1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1))
"""The types of axons, of four, that inhibit a neuron: 1."""


def strengths(weight: Tensor) -> Tensor:
    """±1 for a weight O×…: inputs have TrueNorth's four types in turn; of these, two inhibit a neuron, each
    pair of types another one in turn (our choice; RANC's layer has + and − in turn for all neurons)."""
    kind = torch.arange(weight[0].numel(), device=weight.device) % 4
    pattern = torch.tensor(PATTERNS, device=weight.device)[
        torch.arange(len(weight), device=weight.device) % len(PATTERNS)
    ]
    return (1 - 2 * pattern[:, kind]).to(weight.dtype).view_as(weight)
