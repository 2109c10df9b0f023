"""Rules of gates, learned factors and losses of terms alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import KeyPath

Problems = Iterator[tuple[KeyPath, str]]
SCALE: KeyPath = ("method", "output_scale")


def _output_scale(e: Experiment) -> Problems:
    scale = e.method.output_scale
    if scale.learns and not e.method.activation.quantizer.quantizes:
        yield (
            SCALE,
            f"{scale.name} has no effect, since method.activation.quantizer is none; set it to none",
        )


def _base_weight(e: Experiment) -> Problems:
    if e.loss.base_weight == 0 and not e.loss.terms:
        yield ("loss", "base_weight"), "of 0 leaves nothing to learn from; add a term, or remove it"


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (_output_scale, _base_weight)
