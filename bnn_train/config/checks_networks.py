"""Rules of networks and of filters that are copies of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import KeyPath

Problems = Iterator[tuple[KeyPath, str]]


def _copies(e: Experiment) -> Problems:
    weight = e.method.weight
    if weight.pre.copied > 1 and weight.evaluates_latent:
        yield (
            ("method", "weight", "evaluate"),
            f"latent weights are no filters of their own under pre: {weight.pre.name}; use binary",
        )


def _gates(e: Experiment) -> Problems:
    """Channels that can be squeezed: those that one layer makes and one reads."""
    quantizer = e.method.activation.quantizer
    if not quantizer.gates:
        return
    told = f"are needed for {quantizer.name}, channels that one layer makes and one reads"
    if not e.model.squeezes:
        yield ("model", "name"), f"{told}, and {e.model.name} has none; use a resnet or a plain chain"
    elif e.model.residual and e.method.block.shortcut_per_conv:
        yield ("method", "block", "shortcut"), f"per_conv leaves none, and they {told}; use per_block"


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (_copies, _gates)
