"""Rules for methods that solve for their weights, or whose numbers are coarse."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment, Solve
from bnn_train.config.yaml_reader import KeyPath

Problems = Iterator[tuple[KeyPath, str]]


def _solving(e: Experiment) -> Problems:
    quantizer = e.method.weight.quantizer
    if quantizer.solves and e.training.init_from is None:
        yield (
            ("training", "init_from"),
            f"is missing: method {e.method.name} solves for the weights of a trained network"
            f" (weight.quantizer: {quantizer.name}); name its run, for example of configs/digits/fp.yaml",
        )
    if not quantizer.solves and e.training.solve != Solve():
        yield ("training", "solve"), f"has no effect: method {e.method.name} solves for no weights; remove it"
    if quantizer.solves and e.method.weight.pre.prepares:
        yield (
            ("method", "weight", "pre"),
            f"{e.method.weight.pre.name} would change the weights that were solved for; use none",
        )
    if e.method.activation.pre.measures and not quantizer.solves:
        yield (
            ("method", "activation", "pre"),
            f"{e.method.activation.pre.name} is set where weights are solved for, and weight.quantizer:"
            f" {quantizer.name} solves for none; use pact",
        )


def _untrained(e: Experiment) -> Problems:
    if not e.training.epochs and e.training.init_from is None:
        yield ("training", "epochs"), "0 trains nothing, so training.init_from must name trained weights"


def _averages(e: Experiment) -> Problems:
    for side in ("weight", "activation"):
        quantizer = getattr(e.method, side).quantizer
        if quantizer.counts and e.training.ema:
            yield (
                ("training", "ema"),
                f"cannot average the whole numbers that {side}.quantizer: {quantizer.name} keeps; use 0",
            )


def _coarse(e: Experiment) -> Problems:
    for side in ("weight", "activation"):
        quantizer = getattr(e.method, side).quantizer
        if quantizer.wants_float32 and e.training.amp != "none":
            yield (
                ("training", "amp"),
                f"{e.training.amp} would round what {side}.quantizer: {quantizer.name} rounds; use none",
            )


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (_solving, _untrained, _averages, _coarse)
