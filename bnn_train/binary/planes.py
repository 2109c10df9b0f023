"""Several tensors of one shape as one, without turning their memory around."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def channels_last(x: Tensor) -> bool:
    """Whether maps N×C×H×W lie in memory with the channels of a pixel side by side, and not also by rows."""
    by_pixel = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return by_pixel and not x.is_contiguous()


def stacked(planes: Sequence[Tensor]) -> Tensor:
    """Q tensors → Q×…, each of which lies in memory as the first did; ``torch.stack`` would turn maps whose
    channels are last, and each product with a plane turn it back."""
    if not channels_last(planes[0]):
        return torch.stack(list(planes))
    return torch.stack([plane.permute(0, 2, 3, 1) for plane in planes]).permute(0, 1, 4, 2, 3)


def row(x: Tensor) -> Tensor:
    """All numbers as 1×n, in the order of the memory; no copy where they lie densely."""
    return (x.permute(0, 2, 3, 1) if channels_last(x) else x).reshape(1, -1)


def room(count: int, like: Tensor) -> Tensor:
    """Q×… for planes that lie in memory as this one, with nothing in it."""
    if not channels_last(like):
        return like.new_empty(count, *like.shape)
    turned = like.permute(0, 2, 3, 1)
    return like.new_empty(count, *turned.shape).permute(0, 1, 4, 2, 3)
