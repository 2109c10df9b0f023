"""Terms beside the base loss: what they see, and how they add up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

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


class Term(ABC):
    """A scalar that training adds to the base loss, times an annealed weight."""

    weight: Annealed
    trained: nn.Module | None = None
    """A network of the term's own that trains along; checkpoints hold it."""

    def attach(self, model: nn.Module) -> None:
        """Look into the network that trains, where the term sees more of it than its logits. Raises
        RunError."""
        return

    @abstractmethod
    def __call__(self, context: Context) -> Tensor:
        """The mean over the batch, without the weight."""

    @abstractmethod
    def check(self, data: DataBundle) -> None:
        """Raise RunError unless the term can be had on these data."""

    @abstractmethod
    def told(self) -> str:
        """A sentence for the report."""


def weighted_sum(base: Tensor, terms: Sequence[Term], context: Context) -> Tensor:
    """The base loss and every term times its weight at the position; a weight of 0 saves the term's pass."""
    total = base
    for term in terms:
        weight = number_at(term.weight, context.position)
        if weight:
            total = total + weight * term(context)
    return total
