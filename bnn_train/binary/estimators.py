"""Gradient estimators: the derivative that stands in for a quantizer's, which is 0 almost everywhere.

Each takes the upstream gradient g and the quantizer's input x and returns g · q̃′(x).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def _window(g: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """g where low < x < high, else 0: one fused kernel."""
    return torch.ops.aten.hardtanh_backward(g, x, low, high)  # type: ignore[no-any-return]  # an operator


def identity(g: Tensor, x: Tensor) -> Tensor:
    """g: the plain straight-through estimator."""
    return g


def clip(g: Tensor, x: Tensor) -> Tensor:
    """g · 1[|x| ≤ 1], the derivative of Htanh (BNN, arXiv 1602.02830 eq. 4)."""
    beyond = 1 + torch.finfo(x.dtype).eps  # the first number above 1: an open window that holds ±1
    return _window(g, x, -beyond, beyond)


def clip_open(g: Tensor, x: Tensor) -> Tensor:
    """g · 1[|x| < 1], as XNOR-Net's official code cancels (BinActiveZ, updateBinaryGradWeight)."""
    return _window(g, x, -1.0, 1.0)


def approx_sign(g: Tensor, x: Tensor) -> Tensor:
    """g · max(0, 2 − 2|x|), the derivative of ApproxSign (Bi-Real Net, arXiv 1808.00278 eq. 9)."""
    return x.abs().mul_(-2).add_(2).clamp_(min=0).mul_(g)


def unit(g: Tensor, x: Tensor) -> Tensor:
    """g · 1[0 ≤ x ≤ 1], the derivative of clipping to [0, 1] (DoReFa-Net, arXiv 1606.06160 §2.3)."""
    info = torch.finfo(x.dtype)
    return _window(g, x, -info.smallest_normal * info.eps, 1 + info.eps)


ESTIMATORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    f.__name__: f for f in (identity, clip, clip_open, approx_sign, unit)
}
