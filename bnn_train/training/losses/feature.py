"""Knowledge transfer: a network learns the inner values of another one."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from bnn_train.data.bundle import DataBundle
from bnn_train.errors import RunError
from bnn_train.training.losses.teacher import Teacher
from bnn_train.training.losses.terms import Context, Term


class Feature(Term):
    """Σₗ mean (Fₗ − Tₗ)², Fₗ the output of module l in the network and Tₗ in its teacher, the mean over
    images and numbers (the binary-weight detector's knowledge transfer, arXiv 1804.06332).

    The form is our reading of the abstract: a squared distance of chosen feature maps. The mean, and not the
    sum, keeps the weight the same for maps of any size.
    """

    def __init__(self, section: Any, teacher: Teacher) -> None:
        self.weight, self.patterns, self.teacher = section.weight, section.layers, teacher
        self._taught = _tapped(teacher.model, self.patterns, "the teacher")
        self._own: dict[str, Tensor] = {}

    def attach(self, model: nn.Module) -> None:
        self._own = _tapped(model, self.patterns, "the network")
        if self._own.keys() != self._taught.keys():
            raise RunError(
                f"loss.terms.layers: {', '.join(self._own)} of the network are none of the teacher's, which"
                f" has {', '.join(self._taught)}; take a teacher of the same network"
            )

    def __call__(self, context: Context) -> Tensor:
        self.teacher(context.images)
        total = context.logits.new_zeros(())
        for name, taught in self._taught.items():
            own = self._own[name].float()
            if own.shape != taught.shape:
                raise RunError(
                    f"loss.terms.layers: {name} gives {list(own.shape[1:])} in the network and"
                    f" {list(taught.shape[1:])} in the teacher; take a teacher of the same width"
                )
            total = total + (own - taught.float()).square().mean()
        return total

    def check(self, data: DataBundle) -> None:
        """The teacher must know the same classes and see the same images."""
        self.teacher.check(data)

    def told(self) -> str:
        return f"The loss has a term of {', '.join(self._taught)} from {self.teacher.title}."


def _tapped(model: nn.Module, patterns: Sequence[str], whose: str) -> dict[str, Tensor]:
    """By name, the outputs that the modules under some patterns gave last; of a network that trains, in
    training alone."""
    trains, outputs = model.training, dict[str, Tensor]()
    for pattern in patterns:
        names = [name for name, _ in model.named_modules() if name and fnmatchcase(name, pattern)]
        if not names:
            known = ", ".join(name for name, _ in model.named_children())
            raise RunError(f"loss.terms.layers: {pattern!r} is no module of {whose}, which has {known}")
        outputs |= dict.fromkeys(names, torch.empty(0))

    for name in outputs:

        def see(module: nn.Module, _: Any, output: Tensor, name: str = name) -> None:
            if module.training or not trains:
                outputs[name] = output

        model.get_submodule(name).register_forward_hook(see)
    return outputs
