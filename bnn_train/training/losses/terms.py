"""Terms beside the base loss: what they see, and how they add up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from bnn_train.data.bundle import DataBundle
from bnn_train.spec.annealed import Annealed, Position, number_at


@dataclass(frozen=True)
class Context:
    """A batch in training: images N×C×H×W, the network's float32 logits N×K with their graph, labels N."""

    images: Tensor
    logits: Tensor
    labels: Tensor
    model: nn.Module
    position: Position
    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    """Of the modules that terms watch, by name in the order in which they ran."""


class Term(ABC):
    """A scalar that training adds to the base loss, times an annealed weight."""

    weight: Annealed
    watches: Sequence[str] = ()
    """The modules of the network whose outputs it reads, as globs over their names."""
    trained: nn.Module | None = None
    """A network of the term's own that trains along; checkpoints hold it."""

    @abstractmethod
    def __call__(self, context: Context) -> Tensor:
        """The mean over the batch, without the weight."""

    def attach(self, model: nn.Module) -> None:  # noqa: B027  # few terms read more than a batch
        """Make the network that trains ready to be read."""

    def check(self, data: DataBundle) -> None:  # noqa: B027  # most can be had on all data
        """Raise RunError unless the term can be had on these data."""

    @abstractmethod
    def told(self) -> str:
        """A sentence for the report."""


def weighted_sum(
    base: Tensor, terms: Sequence[Term], context: Context, base_weight: Annealed = 1.0
) -> Tensor:
    """The base loss and every term times its weight at the position; a weight of 0 saves the term's pass."""
    factor = number_at(base_weight, context.position)
    total = base if factor == 1 else factor * base
    for term in terms:
        weight = number_at(term.weight, context.position)
        if weight:
            total = total + weight * term(context)
    return total
