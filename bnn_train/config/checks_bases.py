"""Rules for quantizers of several bases."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import KeyPath

Problems = Iterator[tuple[KeyPath, str]]


def _rectified(e: Experiment) -> Problems:
    """Signs of numbers that are all on one side."""
    pre, quantizer = e.method.activation.pre, e.method.activation.quantizer
    if quantizer.quantizes and pre.rectifies and quantizer.range == "signed":
        yield (
            ("method", "activation", "pre"),
            f"{pre.name} leaves no number below 0, and every sign of quantizer {quantizer.name} would be +1;"
            " use clamp or none",
        )


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (_rectified,)
