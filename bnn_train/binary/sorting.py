"""Rows of numbers in order."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

HERE = (torch.float32, torch.float64)
"""Of these NumPy has vectorised sorts."""


def ascending(x: Tensor) -> Tensor:
    """G×n numbers → each row from its least to its greatest, without a gradient.

    On a CPU by NumPy, 4 to 15 times as fast as torch, which sorts the positions as well."""
    plain = type(x) is Tensor  # and no tracer's
    if not plain or x.device.type != "cpu" or x.dtype not in HERE:
        return x.detach().sort(dim=1).values
    return torch.from_numpy(np.sort(x.detach().numpy(), axis=1))


def descending(x: Tensor) -> Tensor:
    """G×n numbers → each row from its greatest to its least, without a gradient."""
    return ascending(x).flip(1)
