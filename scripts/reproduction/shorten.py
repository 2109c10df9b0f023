"""A recipe in fewer epochs: everything that is counted in epochs moves along."""

from __future__ import annotations

import json
from typing import Any

from bnn_train.config.schema import Bop, Experiment, Step, Table
from bnn_train.spec.annealed import curves


def shortening(experiment: Experiment, most: int | None) -> list[str]:
    """The overrides (as after ``--set``) under which an experiment trains ``most`` epochs; none if it does
    not train longer anyway."""
    epochs = experiment.training.epochs
    if most is None or epochs <= most:
        return []
    f = most / epochs
    changes: dict[str, Any] = {"training.epochs": most, **_schedule(experiment, f, most)}
    optimizer = experiment.optimizer
    if optimizer.weight_decay_epochs is not None:
        changes["optimizer.weight_decay_epochs"] = _count(optimizer.weight_decay_epochs * f)
    if isinstance(optimizer.binary, Bop):
        changes["optimizer.binary.gamma_every"] = _count(optimizer.binary.gamma_every * f)
    changes |= _annealed(experiment, f)
    return [f"{key}={json.dumps(value)}" for key, value in changes.items()]


def _annealed(experiment: Experiment, f: float) -> dict[str, Any]:
    """The lengths of annealed numbers; lists are laid over as a whole."""
    dumped = experiment.model_dump(mode="json")
    changes: dict[str, Any] = {}
    for key, curve in curves(dumped):
        if curve["over"] is not None:
            curve["over"] = _count(curve["over"] * f)
            listed = key.startswith("loss.terms.")
            changes |= {"loss.terms": dumped["loss"]["terms"]} if listed else {f"{key}.over": curve["over"]}
    return changes


def _count(epochs: float) -> int:
    return max(1, round(epochs))


def _schedule(experiment: Experiment, f: float, most: int) -> dict[str, Any]:
    schedule = experiment.schedule
    changes: dict[str, Any] = {"schedule.warmup": schedule.warmup * f} if schedule.warmup else {}
    if (length := getattr(schedule, "over", None)) is not None:
        changes["schedule.over"] = max(1, round(length * f))
    if isinstance(schedule, Step):
        every = schedule.every or experiment.training.epochs
        drops = schedule.at or range(every, experiment.training.epochs, every)
        moved = [round(at * f, 6) for at in drops]
        changes |= {"schedule.at": moved or [float(most)], "schedule.every": None}  # at the end: none
    if isinstance(schedule, Table):
        changes["schedule.rates"] = _rates(schedule.rates, f, most)
    return changes


def _rates(rates: dict[int, float], f: float, most: int) -> dict[int, float]:
    """The moved table. It is laid over the old one, whose entries within the run are told anew, too."""
    moved = {round(epoch * f): rate for epoch, rate in sorted(rates.items())}
    epochs = moved.keys() | {epoch for epoch in rates if epoch < most}
    return {epoch: moved[max(at for at in moved if at <= epoch)] for epoch in sorted(epochs)}
