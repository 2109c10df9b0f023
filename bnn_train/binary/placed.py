"""Modules whose numbers follow the position of the run."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from bnn_train.spec.annealed import END, Annealed, Position, number_at


class Placed(nn.Module):
    """A module with annealed numbers. It computes with those of the end until ``place`` says otherwise.

    The position is no state: it is a function of the step, set anew before each, and no checkpoint holds it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.position: Position = END

    def number(self, number: Annealed) -> float:
        """The value of a number now."""
        return number_at(number, self.position)


def parts(model: nn.Module) -> Iterator[nn.Module]:
    """``model.modules()``, which makes names and a generator for each and takes as long as a narrow layer's
    product, in every step."""
    seen: set[int] = set()
    waiting: list[nn.Module | None] = [model]
    while waiting:
        module = waiting.pop()
        if module is not None and id(module) not in seen:
            seen.add(id(module))
            yield module
            waiting.extend(reversed(module._modules.values()))


def place(model: nn.Module, position: Position) -> None:
    """Tell every module that has annealed numbers how far the run has come."""
    for module in parts(model):
        if isinstance(module, Placed):
            module.position = position
