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


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (_copies,)
