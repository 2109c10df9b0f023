"""Rules of sampled connections and of the neurons behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import KeyPath

Problems = Iterator[tuple[KeyPath, str]]
SCALE: KeyPath = ("method", "output_scale")


def _deviations(e: Experiment) -> Problems:
    """Neurons that count in deviations, sums that are divided by theirs, and weights that have one."""
    m = e.method
    scale, weight, activation = m.output_scale, m.weight.quantizer, m.activation.quantizer
    if activation.reads_deviations and not scale.of_chances:
        yield (
            SCALE,
            f"{scale.name} leaves sums as they are, and activation.quantizer: {activation.name} counts them"
            " in deviations; set it to deviation, or the quantizer's curve to logistic",
        )
    if not scale.of_chances:
        return
    if not weight.samples:
        yield (
            SCALE,
            f"{scale.name} is that of sums over drawn weights, and weight.quantizer: {weight.name} draws none"
            " here; use none",
        )
    if not activation.reads_deviations:
        yield (
            SCALE,
            f"{scale.name} is for neurons that count in deviations (activation.quantizer: spike with curve:"
            " normal), and these do not; use none",
        )


def _straight(e: Experiment) -> Problems:
    """Between such a sum and its neuron nothing may stand."""
    m = e.method
    if not m.output_scale.of_chances:
        return
    told = f"between a sum and its neuron, which takes it in deviations (output_scale: {m.output_scale.name})"
    if not m.norm.absent:
        yield ("method", "norm", "kind"), f"{m.norm.kind} would stand {told}; use none"
    if m.block.norms_first:
        yield ("method", "block", "order"), f"{m.block.order} has a ReLU {told}; use conv-bn-act-pool"
    if e.model.residual:
        yield ("model", "name"), f"{e.model.name} has shortcuts {told}; use mlp or another plain chain"


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (_deviations, _straight)
