"""Shift-based AdaMax: steps that need no multiplication but by powers of two."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bnn_train.binary.shift_norm import ap2


class ShiftAdaMax(Optimizer):
    """m ← β₁·m + (1 − β₁)·g; v ← max(β₂·v, |g|); AP2(x) = 2^round(log₂ x).

    The paper's form (``keeps_v``; arXiv 1602.02830, algorithm 4): θ ← θ − α·AP2(1/(1 − β₁ᵗ))·m·AP2(1/v).
    The authors' Torch7 form (adaMax_binary_clip_shift.lua): v ← AP2(v) + ε is what the next step starts
    from, and θ ← θ − s·AP2(α/(1 − β₁ᵗ))·m/v. s is the layer's factor on the rate, which stands outside the
    rounding. Weight decay adds λ·θ to g.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        keeps_v: bool,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "lr_scale": 1.0, "weight_decay": 0.0}
        super().__init__(params, defaults)
        self.keeps_v = keeps_v

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]  # returns no loss
        """One step of every parameter that has a gradient."""
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    g = w.grad if not group["weight_decay"] else w.grad.add(w, alpha=group["weight_decay"])
                    self._step(w, g, group)

    def _step(self, w: Tensor, g: Tensor, group: dict[str, Any]) -> None:
        (beta1, beta2), state = group["betas"], self.state[w]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float64)
            state["m"], state["v"] = torch.zeros_like(w), torch.zeros_like(w)
        state["step"] += 1
        m, v = state["m"].lerp_(g, 1 - beta1), state["v"]
        torch.maximum(v.mul_(beta2), g.abs(), out=v)
        correction = 1 / (1 - beta1 ** state["step"])
        if self.keeps_v:
            rate = group["lr"] * float(ap2(correction))
            w.sub_(m * ap2(1 / v.clamp(min=group["eps"])), alpha=rate)
        else:
            v.copy_(ap2(v)).add_(group["eps"])
            scale = group["lr_scale"]
            w.addcdiv_(m, v, value=-scale * float(ap2(group["lr"] / scale * correction)))
