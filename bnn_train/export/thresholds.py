"""Where a monotone function of one number changes its code: found in the torch function itself, by bisection.

Whatever rounding happens on the way, the result is exact: the thresholds compare as the function does, for
every number between the ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_train.export.numbers import Function

LARGEST = 2.0**99
"""Float thresholds are exact for numbers to this size."""


@dataclass(frozen=True)
class Found:
    """L×C thresholds, as ``program.Thresholds`` has them, and the channels that fall."""

    values: NDArray[np.int32] | NDArray[np.float32]
    flip: NDArray[np.bool_]


Numbers = Callable[[Tensor], Tensor]
"""From the ordinals that are searched (int64) to the numbers that the function sees."""


def integer_thresholds(function: Function, channels: int, levels: int, bound: int) -> Found:
    """Thresholds on whole numbers from −bound to bound; a code that no number reaches gets bound + 1."""
    found, flip = _search(function, torch.Tensor.float, channels, levels, bound)
    return Found(found.astype(np.int32), flip)


def float_thresholds(function: Function, channels: int, levels: int) -> Found:
    """Thresholds on float32 numbers from −LARGEST to LARGEST."""
    largest = int(np.float32(LARGEST).view(np.int32))
    found, flip = _search(function, of_ordinal, channels, levels, largest)
    return Found(of_ordinal(torch.from_numpy(found)).numpy(), flip)


def beyond(codes: Tensor) -> Tensor:
    """Whether the number in row j lies beyond threshold j: its code is over j, or its plane j is +1.

    ``codes``: L×C of numbers L×C, or their planes P×P×C. L×C.
    """
    if codes.dim() == 3:
        return codes.diagonal(dim1=0, dim2=1).T > 0
    return codes > torch.arange(len(codes))[:, None]


def of_ordinal(ordinals: Tensor) -> Tensor:
    """float32 numbers by their place in the order: 0, and the k-th of each sign at ±k."""
    magnitudes = ordinals.abs().to(torch.int32).view(torch.float32)
    return torch.where(ordinals < 0, -magnitudes, magnitudes)


def _search(
    function: Function, numbers: Numbers, channels: int, levels: int, bound: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For level j the ordinal from which on the code is over j; where the function falls, up to which."""

    def passes(ordinals: Tensor) -> Tensor:
        return beyond(function(numbers(ordinals)))

    ends = torch.full((levels, channels), bound, dtype=torch.int64)
    low, high = passes(-ends), passes(ends)
    flip = (low & ~high).any(dim=0)
    side = torch.where(flip, -1, 1)
    # invariant: the side of ``fails`` fails or lies outside, that of ``holds`` passes or lies outside
    always = torch.where(flip, high, low)
    fails = torch.where(always, -ends - 1, -ends)
    holds = torch.where(torch.where(flip, low, high), ends, ends + 1)
    holds = torch.where(always, -ends, holds)
    while bool((holds - fails > 1).any()):
        middle = torch.div(fails + holds, 2, rounding_mode="floor")
        passed = passes((side * middle).clamp(-bound, bound))
        open_ = holds - fails > 1
        holds = torch.where(open_ & passed, middle, holds)
        fails = torch.where(open_ & ~passed, middle, fails)
    return (side * holds).numpy(), flip.numpy()
