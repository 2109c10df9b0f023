"""Adam, AdamW, AdaMax, RAdam and SGD as torch has them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bnn_train.training.optimizers.kind import Groups, Kind


def _fusable(groups: Groups) -> bool:
    """Whether torch has a fused step for where the parameters are."""
    return all(p.device.type in ("cpu", "cuda") for group in groups for p in group["params"])


def _adam(groups: Groups, s: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=s.lr, betas=s.betas, eps=s.eps, fused=_fusable(groups))


def _adamw(groups: Groups, s: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=s.lr, betas=s.betas, eps=s.eps, fused=_fusable(groups))


def _adamax(groups: Groups, s: Any) -> torch.optim.Optimizer:
    return torch.optim.Adamax(groups, lr=s.lr, betas=s.betas, eps=s.eps)


def _radam(groups: Groups, s: Any) -> torch.optim.Optimizer:
    return torch.optim.RAdam(groups, lr=s.lr, betas=s.betas, eps=s.eps)


def _sgd(groups: Groups, s: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=s.lr, momentum=s.momentum, nesterov=s.nesterov, fused=_fusable(groups))


def _corrected(state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    """v̂ = v/(1 − β₂ᵗ), free of its beginning at 0 (arXiv 1412.6980, algorithm 1)."""
    moment: Tensor = state["exp_avg_sq"] / (1 - group["betas"][1] ** state["step"].double())
    return moment


def _squared_norm(state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    """u²: u = max(β₂·u, |g| + ε) stands in √v̂'s place and needs no correction (arXiv 1412.6980, §7.1)."""
    norm: Tensor = state["exp_inf"]
    return norm.square()


ADAM = Kind(
    build=_adam,
    state=frozenset({"exp_avg", "exp_avg_sq"}),
    steps=torch.float32,
    second_moment=_corrected,
)
ADAMW = replace(ADAM, build=_adamw)
ADAMAX = Kind(
    build=_adamax,
    state=frozenset({"exp_avg", "exp_inf"}),
    steps=torch.float32,
    second_moment=_squared_norm,
)
RADAM = Kind(
    build=_radam,
    state=frozenset({"exp_avg", "exp_avg_sq"}),
    steps=torch.float32,
    second_moment=_corrected,
)
SGD = Kind(
    build=_sgd,
    state=frozenset({"momentum_buffer"}),
    states=lambda s: frozenset({"momentum_buffer"} if s.momentum else ()),
    squares_rate_factor=True,
)
