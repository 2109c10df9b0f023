"""Combinations around quantizers that have a gradient, a centre or a norm of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import KeyPath

Problems = Iterator[tuple[KeyPath, str]]
METHOD: KeyPath = ("method",)


def _leads_back(e: Experiment) -> Problems:
    """Quantizers with a gradient of their own beside rules for it."""
    weight, activation = e.method.weight, e.method.activation
    if weight.quantizer.leads_back:
        why = f"has no effect: {weight.quantizer.name} weights have a gradient of their own"
        if not weight.passes_gradient:
            yield (*METHOD, "weight", "gradient"), f"{weight.gradient} {why}; use identity"
        if weight.amplifies:
            yield (*METHOD, "weight", "gain"), f"{weight.gain} {why}; use none"
    if activation.quantizer.leads_back and not activation.estimator.straight:
        yield (
            (*METHOD, "activation", "estimator"),
            f"{activation.estimator.name} has no effect: {activation.quantizer.name} activations have a"
            " gradient of their own; use identity",
        )


def _centres_itself(e: Experiment) -> Problems:
    weight = e.method.weight
    if weight.quantizer.centres_itself and weight.pre.prepares:
        yield (
            (*METHOD, "weight", "pre"),
            f"{weight.pre.name} comes before {weight.quantizer.name}, which measures mean and deviation of"
            " the weights itself; use none",
        )


def _norm(e: Experiment) -> Problems:
    norm, quantizer = e.method.norm, e.method.activation.quantizer
    if quantizer.wants_plain_norm and norm.affine:
        yield (
            (*METHOD, "norm", "affine"),
            f"must be false: the levels of {quantizer.name} activations are those of N(0, 1), which a learned"
            " factor and summand would move",
        )
    if norm.affine:
        return
    if not norm.plain:
        yield (*METHOD, "norm", "affine"), f"false cannot go with norm.kind: {norm.kind}, which scales by γ"
    if norm.draws_gamma:
        yield (*METHOD, "norm", "gamma"), "has no effect, since norm.affine is false; remove it"


def _output_gradient(e: Experiment) -> Problems:
    m = e.method
    if m.output_gradient.rounds and not (m.weight.quantizer.quantizes or m.activation.quantizer.quantizes):
        yield (*METHOD, "output_gradient"), "has no effect, since the method quantizes no layer; remove it"


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (_leads_back, _centres_itself, _norm, _output_gradient)
