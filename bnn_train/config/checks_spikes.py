"""Rules of weights with chances and of the neurons behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import KeyPath
from bnn_train.spec.quantizer import Quantizer

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
            f" in deviations; set it to {_deviation(activation)}",
        )
    if not scale.of_chances:
        return
    if not (weight.expects if scale.of_signs else weight.samples):
        drawn, draws = (
            ("signs with expectations", "has none") if scale.of_signs else ("drawn weights", "draws none")
        )
        yield (
            SCALE,
            f"{scale.name} is that of sums over {drawn}, and weight.quantizer: {weight.name} {draws}"
            " here; use none",
        )
    if not activation.reads_deviations or activation.expects != scale.of_signs:
        neurons = "expected_sign" if scale.of_signs else "spike"
        yield (
            SCALE,
            f"{scale.name} is for neurons that count in deviations (activation.quantizer: {neurons} with"
            " curve: normal), and these do not; use none",
        )


def _deviation(activation: Quantizer) -> str:
    """The scale that belongs to neurons that count in deviations, or the curve of those that do not."""
    scale, curve = ("expected_deviation", "tanh") if activation.expects else ("deviation", "logistic")
    return f"{scale}, or the quantizer's curve to {curve}"


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
