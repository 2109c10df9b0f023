"""The optimizers of a run: the parameters of each, their rates, and their state in a checkpoint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bnn_train.binary.layers import binary_layers
from bnn_train.config import schema
from bnn_train.spec.annealed import Position
from bnn_train.spec.learning import BinaryAdam
from bnn_train.training.optimizers.bop import BOP
from bnn_train.training.optimizers.ebp import EBP, ExpectationBackpropagation
from bnn_train.training.optimizers.groups import group_of, latent_groups, parameter_groups
from bnn_train.training.optimizers.kind import Kind
from bnn_train.training.optimizers.of_torch import ADAM, ADAMAX, ADAMW, RADAM, SGD
from bnn_train.training.optimizers.rsgd import RSGD, ReplicatedSGD
from bnn_train.training.optimizers.shift_adamax import SHIFT_ADAMAX

KINDS: dict[str, Kind] = {
    "adam": ADAM,
    "adamw": ADAMW,
    "adamax": ADAMAX,
    "shift_adamax": SHIFT_ADAMAX,
    "sgd": SGD,
    "radam": RADAM,
    "ebp": EBP,
    "bop": BOP,
    "rsgd": RSGD,
}
"""By the name in a config; bop and rsgd train binary weights alone, and Adam may."""


class Optimizers:
    """The optimizer of the run and, where the config names one, that of the binary weights."""

    def __init__(self, model: nn.Module, section: schema.Optimizer, beside: Sequence[Tensor] = ()) -> None:
        """``beside``: real parameters of other networks that train along."""
        kind = KINDS[section.name].of(section)
        self._kinds = [kind]
        groups = parameter_groups(model, section, squared=kind.squares_rate_factor)
        if beside:
            groups.append(group_of(beside, 1.0, section.weight_decay))
        self.main = kind.build(groups, section)
        self._unscaled = False
        self.section = section
        self.decay_epochs = section.weight_decay_epochs
        self.binary_section = section.binary
        self.binary: Optimizer | None = None
        if section.binary is not None:
            own = KINDS[section.binary.name].of(section.binary)
            self._kinds.append(own)
            layers = [layer for _, layer in binary_layers(model)]
            latent = latent_groups(layers, section.weight_decay_binary, squared=own.squares_rate_factor)
            groups = [{"params": [layer.weight for layer in layers]}] if not section.binary.latent else latent
            self.binary = own.build(groups, section.binary)

    def set_rate(self, lr: float, epoch: int) -> None:
        """The learning rate of every group, the end of weight decay, what binary weights have beside it."""
        decays = self.decay_epochs is None or epoch < self.decay_epochs
        for group in self.main.param_groups:
            group["lr"] = lr * group["lr_scale"]
            group["weight_decay"] = group["decay"] if decays else 0.0
        own, schedule = self.binary_section, self._kinds[-1].schedule
        for group in [] if self.binary is None else self.binary.param_groups:
            if isinstance(own, BinaryAdam):  # from its own rate by the factor that moves the run's
                group["lr"] = own.lr * (lr / self.section.lr) * group["lr_scale"]
            elif schedule is not None:
                schedule(group, own, lr, epoch)
            if "decay" in group:
                group["weight_decay"] = group["decay"] if decays else 0.0

    def lend(self, position: Position) -> None:
        """Before a step's first forward pass: weights of several replicas become one of them."""
        if isinstance(self.binary, ReplicatedSGD):
            self.binary.lend(position)

    def average_over(self, images: int) -> None:
        """Say over how many images the coming step's gradient is a mean."""
        if isinstance(self.main, ExpectationBackpropagation):
            self.main.images = images

    def settle(self) -> None:
        """After a step, or one that broke off: they become the centre of their replicas again."""
        if isinstance(self.binary, ReplicatedSGD):
            self.binary.settle()

    @property
    def rate(self) -> float:
        """The learning rate of the run, without the groups' factors."""
        groups = self.main.param_groups
        return max((group["lr"] / group["lr_scale"] for group in groups if group["lr_scale"]), default=0.0)

    def zero_grad(self) -> None:
        """Drop all gradients."""
        self.main.zero_grad()
        if self.binary is not None:
            self.binary.zero_grad()

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

    def kept(self) -> Iterator[tuple[str, Kind, Tensor]]:
        """Every parameter as ``<optimizer>.<parameter>``, with its optimizer's row."""
        for which, (kind, optimizer) in enumerate(zip(self._kinds, self._all(), strict=True)):
            parameters = (p for group in optimizer.param_groups for p in group["params"])
            yield from ((f"{which}.{index}", kind, p) for index, p in enumerate(parameters))

    def second_moment(self, parameter: Tensor) -> Tensor | None:
        """The running estimate of E[g²] for each number of a parameter, in the shape of the parameter.

        Its root is what the step is divided by. None before the first step, and where the optimizer of that
        parameter keeps none (SGD, Bop); the row's function says how it is made of the state.
        """
        for kind, optimizer in zip(self._kinds, self._all(), strict=True):
            for group in optimizer.param_groups:
                if kind.second_moment is not None and any(p is parameter for p in group["params"]):
                    state = optimizer.state.get(parameter)
                    return kind.second_moment(state, group) if state else None
        return None

    def _all(self) -> list[Optimizer]:
        return [self.main] if self.binary is None else [self.main, self.binary]

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
