"""Which optimizer trains which parameters, at which rate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bnn_train.binary.latent import lr_scale
from bnn_train.binary.layers import binary_layers
from bnn_train.config import schema
from bnn_train.training.bop import BopOptimizer
from bnn_train.training.shift_adamax import ShiftAdaMax

Groups = list[dict[str, Any]]


def _fusable(groups: Groups) -> bool:
    """Whether torch has a fused step for where the parameters are."""
    return all(p.device.type in ("cpu", "cuda") for group in groups for p in group["params"])


BUILDERS: dict[str, Callable[[Groups, Any], Optimizer]] = {
    "adam": lambda groups, s: torch.optim.Adam(
        groups, lr=s.lr, betas=s.betas, eps=s.eps, fused=_fusable(groups)
    ),
    "adamax": lambda groups, s: torch.optim.Adamax(groups, lr=s.lr, betas=s.betas, eps=s.eps),
    "shift_adamax": lambda groups, s: ShiftAdaMax(
        groups, lr=s.lr, betas=s.betas, eps=s.eps, keeps_v=s.form == "paper"
    ),
    "sgd": lambda groups, s: torch.optim.SGD(
        groups, lr=s.lr, momentum=s.momentum, nesterov=s.nesterov, fused=_fusable(groups)
    ),
}


class Optimizers:
    """The optimizer of the run and, where the config names one, that of the binary weights."""

    def __init__(self, model: nn.Module, section: schema.Optimizer) -> None:
        latent = {id(layer.weight): layer for _, layer in binary_layers(model)}
        groups = _groups(model, section, {} if section.binary else latent)
        if section.binary:
            for group in groups:
                group["params"] = [p for p in group["params"] if id(p) not in latent]
        self.main = BUILDERS[section.name](groups, section)
        self._unscaled = False
        self.decay_epochs = section.weight_decay_epochs
        self.bop_section = section.binary
        self.bop = (
            BopOptimizer(
                (layer.weight for layer in latent.values()),
                threshold=section.binary.threshold,
                gamma=section.binary.gamma,
            )
            if section.binary
            else None
        )

    def set_rate(self, lr: float, epoch: int) -> None:
        """The learning rate of every group, the end of weight decay, and Bop's γ."""
        decays = self.decay_epochs is None or epoch < self.decay_epochs
        for group in self.main.param_groups:
            group["lr"] = lr * group["lr_scale"]
            group["weight_decay"] = group["decay"] if decays else 0.0
        if self.bop is not None and self.bop_section is not None:
            power = epoch // self.bop_section.gamma_every
            for group in self.bop.param_groups:
                group["gamma"] = self.bop_section.gamma * self.bop_section.gamma_decay**power

    def zero_grad(self) -> None:
        """Drop all gradients."""
        self.main.zero_grad()
        if self.bop is not None:
            self.bop.zero_grad()

    def unscale(self, scaler: torch.amp.GradScaler) -> None:
        """Divide the gradients by the loss scale, before they are clipped."""
        for optimizer in self._all():
            scaler.unscale_(optimizer)
        self._unscaled = True

    def step(self, scaler: torch.amp.GradScaler) -> bool:
        """One step of each; False where a gradient overflowed under the loss scale, which then is lowered and
        none of them moves."""
        if not scaler.is_enabled():
            for optimizer in self._all():
                optimizer.step()
            return True
        if not self._unscaled:
            self.unscale(scaler)
        self._unscaled = False
        moves = self._finite()
        if moves:
            for optimizer in self._all():
                scaler.step(optimizer)
        scaler.update()
        return moves

    def _finite(self) -> bool:
        groups = (group for optimizer in self._all() for group in optimizer.param_groups)
        grads = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        return bool(torch.stack([grad.isfinite().all() for grad in grads]).all()) if grads else True

    def _all(self) -> list[Optimizer]:
        return [self.main] if self.bop is None else [self.main, self.bop]

    def state(self) -> dict[str, Tensor]:
        """Every state tensor under ``<optimizer>.<parameter>.<name>``."""
        return dict(self._tensors())

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for which, optimizer in enumerate(self._all()):
            for index, state in optimizer.state_dict()["state"].items():
                for name, value in state.items():
                    if isinstance(value, Tensor):
                        yield f"{which}.{index}.{name}", value

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put back what ``state`` gave."""
        for which, optimizer in enumerate(self._all()):
            state: dict[int, dict[str, Tensor]] = defaultdict(dict)
            for key, value in tensors.items():
                owner, index, name = key.split(".", 2)
                if int(owner) == which:
                    state[int(index)][name] = value
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": dict(state), "param_groups": groups})
            _lay_out_like_parameters(optimizer)


def _lay_out_like_parameters(optimizer: Optimizer) -> None:
    """Fused steps walk parameter and state side by side in memory: a state loaded in another memory
    format than its channels-last parameter would be applied to the wrong weights."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter).copy_(value)


def _groups(model: nn.Module, section: schema.Optimizer, latent: dict[int, Any]) -> Groups:
    """Real parameters in one group; latent weights grouped by their factor on the rate."""
    real = [p for p in model.parameters() if id(p) not in latent]
    groups: Groups = [_group(real, 1.0, section.weight_decay)]
    by_scale: dict[float, list[Tensor]] = defaultdict(list)
    for layer in latent.values():
        by_scale[lr_scale(layer, squared=section.name == "sgd")].append(layer.weight)
    for scale, params in by_scale.items():
        groups.append(_group(params, scale, section.weight_decay_binary))
    return [group for group in groups if group["params"]]


def _group(params: list[Any], scale: float, decay: float) -> dict[str, Any]:
    """``lr_scale`` and ``decay`` are what ``set_rate`` makes rate and weight decay of."""
    return {"params": params, "lr_scale": scale, "weight_decay": decay, "decay": decay}
