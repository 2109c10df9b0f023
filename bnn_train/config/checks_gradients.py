"""Rules for clamps, curvature, memory and terms of the loss: each question goes to the options themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import KeyPath

Problems = Iterator[tuple[KeyPath, str]]


def _clamp(e: Experiment) -> Problems:
    pre, clip = e.method.weight.pre, e.method.latent.clip
    if pre.clamps and clip is not None:
        yield (
            ("method", "latent", "clip"),
            f"weight.pre: {pre.name} clamps already, to a quantile of the standardized weights; remove it",
        )


def _curvature(e: Experiment) -> Problems:
    scale, optimizer = e.method.weight.scale, e.optimizer
    if scale.reads_curvature and not optimizer.second_moment:
        yield (
            ("optimizer",),
            f"{optimizer.name} keeps no second moment of the gradients, by which weight.scale: {scale.name}"
            " weighs; use adam",
        )


def _memory(e: Experiment) -> Problems:
    quantizer = e.method.weight.quantizer
    if quantizer.remembers and e.training.ema:
        yield (
            ("training", "ema"),
            f"averaging cannot go with weight.quantizer: {quantizer.name}: the codes that it remembers have"
            " no average",
        )


def _terms(e: Experiment) -> Problems:
    weight, inputs = e.method.weight, e.method.activation.quantizer
    for number, term in enumerate(e.loss.terms):
        path: KeyPath = ("loss", "terms", number)
        if term.needs_spikes and not inputs.fires:
            yield path, f"{term.name} needs activations of 0 and 1 (heaviside), not {inputs.name}"
        if term.needs_gates and not inputs.learns_gates:
            yield path, f"{term.name} needs gates that learn (activation.quantizer: gated_sign); remove it"
        if term.needs_binary_weights and not weight.quantizer.quantizes:
            yield path, f"{term.name} has no effect, since method.weight.quantizer is none; remove it"
        elif term.needs_scale and not weight.scale.scales:
            yield path, f"{term.name} draws to the layers' own scales, and method.weight.scale is none"


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (_clamp, _curvature, _memory, _terms)
