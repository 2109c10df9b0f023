"""Bop: an optimizer for weights that are ±1 and have no latent counterpart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from bnn_train.training.optimizers.kind import Kind


class BopOptimizer(Optimizer):
    """m ← (1 − γ)·m + γ·g; w ← −w where w·m > τ (Helwegen et al., arXiv 1906.02107, algorithm 1)."""

    def __init__(self, params: Iterable[Any], *, threshold: float, gamma: float) -> None:
        super().__init__(params, {"threshold": threshold, "gamma": gamma})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]  # returns no loss
        """Flip the weights whose averaged gradient points against them."""
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is None:
                    continue
                state = self.state[w]
                if not state:
                    state["m"] = torch.zeros_like(w)
                state["m"].lerp_(w.grad, group["gamma"])
                w.copy_(torch.where(w * state["m"] > group["threshold"], -w, w))


def _schedule(group: dict[str, Any], section: Any, lr: float, epoch: int) -> None:
    group["gamma"] = section.gamma * section.gamma_decay ** (epoch // section.gamma_every)


BOP = Kind(
    build=lambda groups, s: BopOptimizer(groups, threshold=s.threshold, gamma=s.gamma),
    state=frozenset({"m"}),
    schedule=_schedule,
)
