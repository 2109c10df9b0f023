"""The task of a layer's weight when it is solved for on images: respond as the real layer does.

S: N×n, the numbers under a filter at N places, as the layers before, already quantized, give them. T: N×O,
the real network's responses there, without bias. All is in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Nearest = Callable[[Tensor, Tensor], Tensor]
"""From a real number and the present code to the best code."""
Snap = Callable[[Tensor], Tensor]
"""Responses N×O to others."""


@dataclass(frozen=True)
class Problem:
    """‖T − S·Ŵᵀ‖² is to be small."""

    weight: Tensor
    """O×…, the real one."""
    inputs: Tensor
    """S."""
    targets: Tensor
    """T."""
    draw: torch.Generator
    """For random beginnings, on the CPU."""
    snap: Snap | None = None
    """From responses N×O to the nearest ones after which the next layer's input has the codes that it has in
    the real network; None where no quantizer follows."""

    @property
    def flat(self) -> Tensor:
        """The weight, O×n."""
        return self.weight.flatten(1)

    @property
    def gram(self) -> Tensor:
        """A = SᵀS, n×n."""
        return self.inputs.T @ self.inputs

    def cross(self, targets: Tensor | None = None) -> Tensor:
        """SᵀT, n×O."""
        return self.inputs.T @ (self.targets if targets is None else targets)


def best_scale(gram: Tensor, cross: Tensor, codes: Tensor) -> Tensor:
    """α = ⟨c, SᵀT⟩/⟨c, A·c⟩ of each filter's codes c, O; 0 where they do nothing. ``codes``: O×n."""
    power = (codes * (codes @ gram)).sum(dim=1)
    return torch.where(power > 0, (codes * cross.T).sum(dim=1) / power.clamp(min=1e-300), 0.0)


def descend(
    gram: Tensor, cross: Tensor, codes: Tensor, nearest: Nearest, sweeps: int
) -> tuple[Tensor, Tensor]:
    """Codes O×n and α O of a smaller ‖T − α·S·c‖²: α in closed form, then one weight after the other, till
    none changes. Neither half of a sweep can raise the error; α ends at 0 or above.

    Weight j: c_j ← the code nearest to (SᵀT_j − α·Σ_{i≠j} A_ji·c_i)/(α·A_jj), all filters side by side.
    """
    codes = codes.clone()
    for _ in range(sweeps):
        alpha = best_scale(gram, cross, codes)
        codes *= torch.where(alpha < 0, -1.0, 1.0)[:, None]
        if not _sweep(gram, cross, codes, alpha.abs(), nearest):
            break
    alpha = best_scale(gram, cross, codes)
    return codes * torch.where(alpha < 0, -1.0, 1.0)[:, None], alpha.abs()


def _sweep(gram: Tensor, cross: Tensor, codes: Tensor, alpha: Tensor, nearest: Nearest) -> bool:
    """Whether a code changed."""
    moved = torch.zeros((), dtype=torch.bool, device=codes.device)
    field = codes @ gram  # O×n
    for j in range(codes.shape[1]):
        own = gram[j, j]
        power = alpha * own
        free = cross[j] - alpha * (field[:, j] - own * codes[:, j])
        wanted = nearest(free / power.clamp(min=1e-300), codes[:, j])
        change = torch.where(power > 0, wanted - codes[:, j], 0.0)
        codes[:, j] += change
        field += change[:, None] * gram[j]
        moved |= (change != 0).any()
    return bool(moved)


def error(problem: Problem, weight: Tensor) -> float:
    """‖T − S·Ŵᵀ‖²/‖T‖² of a quantized weight O×…"""
    missed = problem.targets - problem.inputs @ weight.flatten(1).T.to(problem.inputs)
    return float(missed.square().sum() / problem.targets.square().sum().clamp(min=1e-300))
