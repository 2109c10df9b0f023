"""A row of the optimizers' table: how one is built, and what it keeps for a parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Groups = list[dict[str, Any]]
Moment = Callable[[dict[str, Any], dict[str, Any]], Tensor]
"""(a parameter's state, its group) → E[g²]."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """An optimizer that a config may name."""

    build: Callable[[Groups, Any], Optimizer]
    """From parameter groups and the config's section."""
    state: frozenset[str]
    """Names of the tensors kept for a parameter, each as large as it."""
    states: Callable[[Any], frozenset[str]] | None = None
    """The same from the config's section, where it decides."""
    schedule: Callable[[dict[str, Any], Any, float, int], None] | None = None
    """(group, section, learning rate of the run, epoch) → a group of binary weights at that epoch."""
    steps: torch.dtype | None = None
    """Of the counter ``step``, where one is kept for a parameter."""
    second_moment: Moment | None = None
    """The estimate of E[g²] that the step is divided by the root of; None where there is none."""
    squares_rate_factor: bool = False
    """Whether a factor on the rate is squared: the step grows with the gradient (BinaryConnect §2.5)."""

    def of(self, section: Any) -> Kind:
        """The row as a section has it."""
        return self if self.states is None else replace(self, state=self.states(section), states=None)

    @property
    def names(self) -> set[str]:
        """Every name that a parameter's state may have."""
        return {*self.state, *(("step",) if self.steps is not None else ())}
