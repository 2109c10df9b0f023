"""The way of a tensor to the device, without waiting for what the device is doing."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` there. A GPU fetches it from pinned memory when its turn comes; unpinned memory would have
    the host wait."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
