"""The position of a run: what annealed numbers are functions of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bnn_train.config.schema import Experiment
from bnn_train.data.bundle import DataBundle
from bnn_train.spec.annealed import Position


def steps_per_epoch(experiment: Experiment, data: DataBundle) -> int:
    """Optimizer steps in an epoch; the last may have fewer batches than ``accumulate``."""
    return math.ceil(data.batches_per_epoch / experiment.training.accumulate)


def position_of(step: int, steps_per_epoch: int, epochs: int) -> Position:
    """The position after ``step`` steps of a run of so many epochs."""
    return Position(step=step, epoch=step / steps_per_epoch, epochs=epochs)


def stored_position(state: Mapping[str, Any], experiment: Experiment) -> Position:
    """The position at which a checkpoint was saved, from its ``state``.

    Releases that stored no length of an epoch had no annealed numbers: there it is the last epoch's end.
    """
    progress, length = state["progress"], state.get("steps_per_epoch")
    if length is None:
        done = progress["epochs_finished"]
        return Position(step=progress["step"], epoch=float(done), epochs=experiment.training.epochs)
    return position_of(progress["step"], length, experiment.training.epochs)
