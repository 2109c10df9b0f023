"""A run before its first step: all that it begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle
from bnn_train.report import trackers
from bnn_train.training.batches import check_batches
from bnn_train.training.compatible import with_found, with_split
from bnn_train.training.losses.table import terms_of
from bnn_train.training.losses.terms import Term
from bnn_train.training.setup import (
    Learner,
    build_learner,
    build_model,
    choose_device,
    opened,
    told_processes,
)
from bnn_train.training.solve import Solved, solve_weights
from bnn_train.training.source import pinned
from bnn_train.training.stages import Started, start_weights
from bnn_train.world import World


@dataclass(frozen=True)
class Beginning:
    """A run before its first step. The experiment knows its split and the digests of what it starts from."""

    experiment: Experiment
    data: DataBundle
    learner: Learner
    started: Started | None
    solved: Solved | None


def prepared(experiment: Experiment, world: World) -> Beginning:
    """All that a run begins with: every mistake is told while its folder is as it was."""
    with world.agreed():
        trackers.check(experiment.run.trackers)
        experiment, device = pinned(experiment), choose_device(experiment.run, world)
        terms = terms_of(experiment.loss, device)
    data = opened(experiment, device, world)
    with world.agreed():
        return _built(experiment, data, device, terms)


def _built(
    experiment: Experiment, data: DataBundle, device: torch.device, terms: Sequence[Term]
) -> Beginning:
    check_batches(experiment, data)
    for term in terms:
        term.check(data)
    model = build_model(experiment, data.shape, len(data.classes), device)
    started = start_weights(model, experiment)
    solved = solve_weights(model, experiment, data)
    drawn = data.config.validation
    experiment = with_found(with_split(experiment, by=drawn.by, drawn=drawn.drawn), data.config)
    learner = build_learner(experiment, model, device, terms, data.world)
    return Beginning(experiment, data, learner, started, solved)


def origins(beginning: Beginning) -> list[str]:
    """Sentences on the other networks that went into a run, for its report."""
    started = [] if beginning.started is None else [beginning.started.told()]
    solved = [] if beginning.solved is None else [beginning.solved.told()]
    processes = told_processes(beginning.experiment, beginning.data, beginning.learner)
    return [*started, *solved, *(term.told() for term in beginning.learner.terms), *processes]
