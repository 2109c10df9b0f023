"""The one sign of the project: x < 0 → −1, everything else (0, −0.0, NaN) → +1."""

from __future__ import annotations

import torch
from torch import Tensor

from bnn_train.binary import passes


def sign(x: Tensor) -> Tensor:
    """±1 in the shape and dtype of ``x``; never 0.

    One pass where the packed kernels serve. Elsewhere ``torch.sign`` gives 0 for 0, −0.0 and NaN; half a unit
    more, and its second pass has no 0 to meet. These three passes are vectorized and two work in place, while
    ``torch.where(x < 0, …)`` takes three to ten times as long; Sign and Add are operations that compilers and
    exporters know. No gradient passes: estimators provide it.
    """
    if passes.serves(x):
        return passes.signs(x.detach())
    return torch.sign(x.detach()).add_(0.5).sign_()
