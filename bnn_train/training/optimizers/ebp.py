"""Expectation Backpropagation: the log odds of binary weights add up over the images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from bnn_train.training.optimizers.kind import Kind


class ExpectationBackpropagation(Optimizer):
    """h ← h + ½·Σ (δ∘G)·⟨v⟩ᵀ and b ← b + ½·Σ δ∘G over the images of a step (Soudry, Hubara, Meir, NIPS 2014).

    With δ∘G twice the derivative of log p with respect to a sum (the authors' G at the output has that
    factor, and all others pass it on), both are minus the gradient of −Σ log p, so that a step is −N times
    the gradient of a mean over N images. A second pass over the same images counts them again."""

    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params, {"lr": 1.0, "lr_scale": 1.0, "weight_decay": 0.0, "decay": 0.0})
        self.images = 1
        """Over how many the next gradient is a mean."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]  # returns no loss
        """Add what the images say."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(p.grad, alpha=self.images * group["lr"])


EBP = Kind(build=lambda groups, s: ExpectationBackpropagation(groups), state=frozenset())
