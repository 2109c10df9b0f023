"""The numbers in which a forward pass computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

AMP_TYPES = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def precise(device: torch.device, amp: torch.dtype | None) -> AbstractContextManager[object]:
    """A forward pass in mixed precision, or, with None, in that of the model."""
    return nullcontext() if amp is None else torch.autocast(device.type, amp)


def widened(logits: Tensor) -> Tensor:
    """Half-precision logits in float32, in which losses compute; wider ones as they are."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
