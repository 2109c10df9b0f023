"""Memory that training holds for the numbers it trains: weights, their gradients, the optimizers' state."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from torch import nn

from bnn_train.binary.layers import binary_layers
from bnn_train.spec.learning import Optimizer
from bnn_train.training.optimizers import Optimizers


@dataclass(frozen=True)
class Footprint:
    """Bytes of some parameters while they train."""

    weights: int
    gradients: int
    state: int
    kept: tuple[str, ...]
    """Names of the tensors that the optimizer keeps beside each parameter."""
    latent: bool
    """Whether the weights are real numbers behind their codes, and not the codes."""

    @property
    def per_number(self) -> float:
        """Bytes for each number, gradient included."""
        return (self.weights + self.gradients + self.state) / (self.weights / 4) if self.weights else 0.0


def footprints(model: nn.Module, section: Optimizer) -> dict[str, Footprint]:
    """Of the binary weights (`binary`) and of everything else (`real`), from shapes alone.

    Activations are not counted, nor what a loss or an average keeps. Counters of steps are a number for each
    tensor and left out.
    """
    latent = {id(layer.weight): layer.method.weight.quantizer.latent for _, layer in binary_layers(model)}
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    kept: dict[str, set[str]] = defaultdict(set)
    for _, kind, parameter in Optimizers(model, section).kept():
        which = "binary" if id(parameter) in latent else "real"
        size = parameter.numel() * parameter.element_size()
        sums[which][0] += size
        sums[which][1] += size * len(kind.state)
        kept[which] |= kind.state
    return {
        which: Footprint(
            size, size, state, tuple(sorted(kept[which])), which == "real" or any(latent.values())
        )
        for which, (size, state) in sums.items()
    }


def told(found: dict[str, Footprint]) -> list[str]:
    """A line for each, for people."""
    return [
        f"{f'training, {which}':<17} {one.weights:,} bytes of {_kind(which, one)}, {one.gradients:,} of"
        f" gradients, {one.state:,} of optimizer state ({', '.join(one.kept) or 'none'}):"
        f" {one.per_number:g} a weight"
        for which, one in sorted(found.items())
    ]


def _kind(which: str, one: Footprint) -> str:
    if which == "real":
        return "real parameters"
    return "latent weights" if one.latent else "±1 weights, none latent"
