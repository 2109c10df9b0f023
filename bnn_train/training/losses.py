"""The losses of the papers, from logits N×K and labels N to a scalar."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_train.config.schema import CrossEntropy, Loss

Criterion = Callable[[Tensor, Tensor], Tensor]


def square_hinge(logits: Tensor, labels: Tensor, *, reduction: str) -> Tensor:
    """Mean over the batch of Σₖ max(0, 1 − tₖ·yₖ)², t = ±1 one-hot; ``mean`` divides by K.

    BinaryConnect's scripts average over the classes; its first MNIST experiment sums, which is K
    times larger and matters to SGD.
    """
    # not F.one_hot, which reads the labels back to check them and so waits for a GPU
    targets = torch.full_like(logits, -1).scatter_(1, labels[:, None], 1)
    per_image = (1 - targets * logits).clamp(min=0).square().sum(dim=1).mean()
    return per_image if reduction == "sum" else per_image / logits.shape[1]


def criterion(loss: Loss) -> Criterion:
    """The function that a config's loss section stands for."""
    if isinstance(loss, CrossEntropy):
        return partial(F.cross_entropy, label_smoothing=loss.label_smoothing)
    return partial(square_hinge, reduction=loss.reduction)
