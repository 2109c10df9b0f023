"""Replicated SGD: several copies of the binary weights, drawn to their centre."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bnn_train.spec.annealed import Annealed, Position, number_at
from bnn_train.training.optimizers.kind import Kind


class ReplicatedSGD(Optimizer):
    """w_a ← w_a − η·∇L(w_a) − η·λ·(w_a − w̄) for replica a = step mod y, w̄ the mean of the y replicas.

    Baldassi et al. (arXiv 1509.05753) show that solutions of binary weights that lie in dense clusters are
    found by simple rules; replicas that draw each other together look for them (arXiv 1605.06444). That one
    replica steps at a time, in turn, each on another batch, and that λ rises, is our reading.

    Between steps the parameter is the centre w̄, which evaluations, checkpoints and exports read.
    ``lend`` puts a replica in its place for a step, ``settle`` takes it back.
    """

    def __init__(self, params: Iterable[Any], *, replicas: int, coupling: Annealed) -> None:
        super().__init__(params, {"lr": 0.0, "lr_scale": 1.0, "weight_decay": 0.0, "decay": 0.0})
        self.replicas, self.coupling = replicas, coupling
        self.turn, self.strength = 0, 0.0
        self.lent = False

    def _weights(self) -> list[Tensor]:
        return [w for group in self.param_groups for w in group["params"]]

    def _copies(self, w: Tensor) -> list[Tensor]:
        """The replicas of a weight, at first all where it is."""
        state = self.state[w]
        if not state:
            state.update({name: w.detach().clone() for name in names(self.replicas)})
        return [state[name] for name in names(self.replicas)]

    @torch.no_grad()
    def lend(self, position: Position) -> None:
        """Put the replica whose turn it is into every parameter."""
        self.turn, self.strength = position.step % self.replicas, number_at(self.coupling, position)
        for w in self._weights():
            w.copy_(self._copies(w)[self.turn])
        self.lent = True

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]  # returns no loss
        """One step of the replica that stands in the parameters."""
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is None:
                    continue
                apart = w - torch.stack(self._copies(w)).mean(dim=0)
                g = w.grad.add(w, alpha=group["weight_decay"]).add_(apart, alpha=self.strength)
                w.sub_(g, alpha=group["lr"])

    @torch.no_grad()
    def settle(self) -> None:
        """Keep the replica as the parameters have it, and put the centre there."""
        if not self.lent:
            return
        for w in self._weights():
            copies = self._copies(w)
            copies[self.turn].copy_(w)
            w.copy_(torch.stack(copies).mean(dim=0))
        self.lent = False


def names(replicas: int) -> list[str]:
    """The names under which a checkpoint holds them."""
    return [f"replica_{a}" for a in range(replicas)]


def _schedule(group: dict[str, Any], section: Any, lr: float, epoch: int) -> None:
    group["lr"] = lr * section.rate * group["lr_scale"]


RSGD = Kind(
    build=lambda groups, s: ReplicatedSGD(groups, replicas=s.replicas, coupling=s.coupling),
    state=frozenset(),
    states=lambda s: frozenset(names(s.replicas)),
    schedule=_schedule,
    squares_rate_factor=True,
)
