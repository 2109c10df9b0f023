"""Shift-based AdaMax: steps that need no multiplication but by powers of two."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bnn_train.binary.shift_norm import ap2
from bnn_train.training.optimizers.kind import Kind


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
        correction = 1 / (1 - beta1 ** _counted(state))
        m, v = state["m"].lerp_(g, 1 - beta1), state["v"]
        torch.maximum(v.mul_(beta2), g.abs(), out=v)
        if self.keeps_v:
            rate = group["lr"] * power_of_two(correction)
            w.sub_(m * ap2(1 / v.clamp(min=group["eps"])), alpha=rate)
        else:
            v.copy_(ap2(v)).add_(group["eps"])
            scale = group["lr_scale"]
            w.addcdiv_(m, v, value=-scale * power_of_two(group["lr"] / scale * correction))


def _counted(state: dict[str, Any]) -> int:
    """The number of this step, from 1; the checkpoint's tensor ``step`` is read after a load alone."""
    if "steps" not in state:
        state["steps"] = int(state["step"])
    state["steps"] += 1
    state["step"] += 1
    return int(state["steps"])


def power_of_two(x: float) -> float:
    """AP2 of a positive number on the host, as ``ap2`` has it on tensors."""
    mantissa, exponent = math.frexp(x)  # in [½, 1)
    return math.ldexp(1.0, exponent - (mantissa < 0.5**0.5))


def _squared(state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    """v²: v = max(β₂·v, |g|) is an estimate of |g|, as AdaMax's u is, and stands where Adam has √v."""
    v: Tensor = state["v"]
    return v.square()


SHIFT_ADAMAX = Kind(
    build=lambda groups, s: ShiftAdaMax(groups, lr=s.lr, betas=s.betas, eps=s.eps, keeps_v=s.keeps_v),
    state=frozenset({"m", "v"}),
    steps=torch.float64,
    second_moment=_squared,
)
