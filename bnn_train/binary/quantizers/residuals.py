"""Signs of residuals with constant factors, a few images (or windows) at a time.

The windows of a map are nine times as large as the map, and each step of the chain would go through memory
once more; a piece that stays in a processor's cache does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.planes import room
from bnn_train.binary.sign import sign

PIECE = 1 << 17
"""Numbers of a piece: half a megabyte, of which a core has several beside it in its second cache."""


def pieces(x: Tensor) -> Iterator[slice]:
    """Rows of the first axis that are read together; one piece of none where there are no rows."""
    count = max(1, PIECE * len(x) // max(x.numel(), 1))
    yield from (slice(first, first + count) for first in range(0, max(len(x), 1), count))


def residual_signs(
    x: Tensor, inside: Tensor | None, factors: Sequence[Tensor], estimator: Estimator
) -> Tensor:
    """sᵢ = sign(rᵢ), rᵢ = x − Σ_{j<i} vⱼ·sⱼ, the last one first: Q×N×…

    ``factors``: numbers, or one for each of x's first axis, N×1×…; no gradient reaches them. ``inside``: 0
    where there is no sign. With m the estimator's slope, ∂sᵢ/∂rᵢ = m(rᵢ) and ∂rᵢ₊₁/∂rᵢ = 1 − vᵢ·m(rᵢ)."""
    result: Tensor = _Residuals.apply(x, inside, estimator, *factors)  # type: ignore[no-untyped-call]  # in torch
    return result


class _Residuals(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, inside: Tensor | None, estimator: Estimator, *factors: Tensor) -> Tensor:
        ctx.save_for_backward(x, inside, *factors)
        ctx.estimator = estimator
        signs = room(len(factors), x)
        for rows in pieces(x):
            for q, (_, s, _) in enumerate(chain(x[rows], _mask(x, inside, rows), factors, rows), start=1):
                signs[-q, rows] = s
        return signs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, inside, *factors = ctx.saved_tensors
        estimator: Estimator = ctx.estimator
        whole = next(estimator.buffers(), None) is not None  # it follows the gradients that it sees
        grad = torch.empty_like(x)
        for rows in [slice(None)] if whole else pieces(x):
            after: Tensor | None = None
            mask = _mask(x, inside, rows)
            steps = [*chain(x[rows], mask, factors, rows)]
            for g, (r, _, v) in zip(grads[0], reversed(steps), strict=True):
                g = g[rows] if after is None else g[rows] - v * after
                own = estimator.slope(g if mask is None else g * mask, r)
                after = own if after is None else own.add_(after)
            if after is not None:
                grad[rows] = after
        return grad, None, None, *[None] * len(factors)


def _mask(x: Tensor, inside: Tensor | None, rows: slice) -> Tensor | None:
    """``inside`` for each number of some rows: spread once, since a processor is slow at spreading."""
    return None if inside is None else inside[rows].expand_as(x[rows]).contiguous()


def chain(
    r: Tensor, inside: Tensor | None, factors: Sequence[Tensor], rows: slice = slice(None)
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """rᵢ, sᵢ and vᵢ from r₁ on, without gradients; ``rows``: those of the factors that belong to r₁."""
    for i, factor in enumerate(factors):
        v = factor[rows] if factor.dim() else factor
        s = sign(r) if inside is None else sign(r).mul_(inside)
        yield r, s, v
        if i + 1 < len(factors):
            r = r - v * s
