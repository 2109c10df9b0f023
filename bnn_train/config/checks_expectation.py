"""Rules of Expectation Backpropagation: what its formulas are about, and what nobody has derived."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment, Probit
from bnn_train.config.yaml_reader import KeyPath
from bnn_train.spec.networks import MLP

Problems = Iterator[tuple[KeyPath, str]]
OPTIMIZER: KeyPath = ("optimizer",)


def _together(e: Experiment) -> Problems:
    """The method, its optimizer and its loss."""
    scale, optimizer, name = e.method.output_scale, e.optimizer, e.optimizer.name
    if not scale.of_signs:
        if optimizer.sums:
            yield (
                (*OPTIMIZER, "name"),
                f"{name} adds up the log odds of weights, which method {e.method.name} has none of; take"
                " method ebp, or another optimizer",
            )
        return
    if not optimizer.sums:
        yield (
            (*OPTIMIZER, "name"),
            f"{name} steps at a learning rate, and the log odds of method {e.method.name} add up without one;"
            " set optimizer: ebp",
        )
    if not isinstance(e.loss, Probit):
        yield (
            ("loss", "name"),
            f"{e.loss.name} is no likelihood of output neurons that count in deviations; set loss: probit",
        )


def _nothing_beside(e: Experiment) -> Problems:
    """Settings of other optimizers."""
    optimizer = e.optimizer
    if not optimizer.sums:
        return
    for key in ("weight_decay", "weight_decay_binary"):
        if getattr(optimizer, key):
            yield (
                (*OPTIMIZER, key),
                f"has no effect under {optimizer.name}, which adds log odds up; remove it",
            )
    if optimizer.binary is not None:
        yield (
            (*OPTIMIZER, "binary"),
            f"{optimizer.binary.name} would train the weights that {optimizer.name} trains; remove it",
        )


def _network(e: Experiment) -> Problems:
    """Dense layers of signs, and nothing else."""
    if not e.method.output_scale.of_signs:
        return
    told = f"method {e.method.name} has formulas for"
    if not e.model.dense:
        yield ("model", "name"), f"{told} dense layers alone, not for those of {e.model.name}; use mlp"
    if e.method.scope.real:
        yield (
            ("method", "scope", "real"),
            f"{told} binary layers alone; remove {', '.join(e.method.scope.real)}",
        )
    if isinstance(e.model, MLP) and e.model.dropout:
        yield ("model", "dropout"), f"{told} signs, none of which is 0; use model.dropout_input"


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (_together, _nothing_beside, _network)
