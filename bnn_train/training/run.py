"""A run from its first step, or from its last checkpoint, to its report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from signal import Signals
from typing import Any, NamedTuple

import torch

from bnn_train.config.loader import dump, from_mapping, load
from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle
from bnn_train.errors import CheckpointError
from bnn_train.inspect import diagnostics
from bnn_train.report import trackers
from bnn_train.report.metrics import MetricsLog, NoLog
from bnn_train.spec.inputs import input_shape
from bnn_train.training import checkpoint as ckpt
from bnn_train.training import images, manifest, parity_images
from bnn_train.training.batches import check_batches
from bnn_train.training.beginning import Beginning, origins, prepared
from bnn_train.training.checkpoint import Checkpoint
from bnn_train.training.compatible import (
    check_length,
    continued,
    same_classes,
    told_changes,
)
from bnn_train.training.console import LOG, Console
from bnn_train.training.contents import CHECKPOINTS, CONFIG
from bnn_train.training.final import report_of
from bnn_train.training.fits import check_network, check_optimizers, check_scaler
from bnn_train.training.folder import RunFolder, Warn, clear, create, refuse_others, reopen, run_path
from bnn_train.training.loop import train
from bnn_train.training.losses.table import terms_of
from bnn_train.training.losses.terms import Term
from bnn_train.training.position import steps_per_epoch
from bnn_train.training.progress import Progress
from bnn_train.training.records import Recorder
from bnn_train.training.restore import experiment_of
from bnn_train.training.setup import (
    Learner,
    build_learner,
    build_model,
    choose_device,
    opened,
    told_processes,
    told_sizes,
)
from bnn_train.training.signals import StopRequest, stopped
from bnn_train.training.source import pinned, refuse_within
from bnn_train.world import ALONE, World


def start(
    experiment: Experiment,
    warn: Warn = lambda sentence: None,
    begun: Warn = lambda sentence: None,
    console: Console | None = None,
    world: World = ALONE,
) -> dict[str, Any]:
    """Train from scratch in a fresh run folder; returns the report. ``begun`` is told once nothing stands in
    the way of the first step, ``console`` all that follows. ``world``: the processes that train together, the
    first of which writes the folder and returns a report that is not empty."""
    path, overwrite = run_path(experiment), experiment.run.overwrite
    with world.agreed():
        if world.is_writer:
            refuse_others(path, overwrite)
        experiment = pinned(experiment)
        refuse_within(experiment, path)
    beginning = prepared(experiment, world)
    with world.agreed():
        own = create(path, overwrite=overwrite, warn=warn) if world.is_writer else RunFolder(path)
    with own as folder:
        return _begin(beginning, folder, _Voice(warn, begun, console or Console()))


def resume(
    path: Path,
    experiment: Experiment | None,
    warn: Warn = lambda sentence: None,
    begun: Warn = lambda sentence: None,
    console: Console | None = None,
    world: World = ALONE,
) -> dict[str, Any]:
    """Go on with the run in ``path`` from its newest intact checkpoint, or begin it again where it ended
    before its first; returns the report.

    ``experiment``, if given, may differ from the stored one in ``compatible.FREE_KEYS`` alone.
    """
    voice, checkpoint, skipped = _Voice(warn, begun, console or Console()), None, list[str]()
    with world.agreed():
        own = reopen(path) if world.is_writer else RunFolder(path)
    with own as folder:
        with world.agreed():
            if folder.is_ours and ckpt.saved(folder.checkpoints):
                checkpoint, skipped = ckpt.newest(folder.checkpoints)
        for sentence in skipped:
            warn(f"{sentence}; using an older checkpoint")
        if not world.told_by(0, checkpoint is not None):
            return _begin_again(experiment, folder, voice, world)
        return _go_on(ckpt.shared(checkpoint, world), experiment, folder, voice, world)


def stored_experiment(path: Path) -> Experiment:
    """The config of the run in ``path``: of its newest checkpoint, or of its first start before there is one.

    Raises CheckpointError where neither tells.
    """
    if ckpt.saved(path / CHECKPOINTS):
        return experiment_of(ckpt.newest(path / CHECKPOINTS)[0])
    if not path.is_dir():
        raise CheckpointError(f"{path}: no run to resume here: there is no such folder")
    if not (path / CONFIG).is_file():
        raise CheckpointError(
            f"{path}: no usable checkpoint, and no {CONFIG} to begin the run again with; give --config F"
        )
    return load(path / CONFIG)


class _Voice(NamedTuple):
    """Whom a run tells what."""

    warn: Warn
    begun: Warn
    console: Console


def _begin(beginning: Beginning, folder: RunFolder, voice: _Voice) -> dict[str, Any]:
    experiment, data, learner = beginning.experiment, beginning.data, beginning.learner
    with data.world.agreed():
        if folder.is_ours:
            folder.write_text(CONFIG, dump(experiment))
            parity_images.record(folder.path, data)
            images.record(folder.path, images.keys_of(data))
            manifest.write(experiment, data, folder, Progress(), [], origins=origins(beginning))
    signs = diagnostics.packed_codes(learner.model)
    voice.begun(f"run folder: {folder.path}")
    return _run(experiment, data, learner, Progress(), folder, signs, voice.console, beginning)


def _begin_again(
    experiment: Experiment | None, folder: RunFolder, voice: _Voice, world: World
) -> dict[str, Any]:
    """A run that ended before its first checkpoint has nothing to lose."""
    with world.agreed():
        stored = experiment or (stored_experiment(folder.path) if folder.is_ours else None)
    told = world.told_by(0, stored and stored.model_dump(mode="json"))
    beginning = prepared(stored or from_mapping(told), world)
    with world.agreed():
        if folder.is_ours:
            clear(folder)
    voice.warn(f"{folder.path}: the run ended before its first checkpoint, so it begins again")
    return _begin(beginning, folder, voice)


def _go_on(
    checkpoint: Checkpoint, wanted: Experiment | None, folder: RunFolder, voice: _Voice, world: World
) -> dict[str, Any]:
    with world.agreed():
        stored = experiment_of(checkpoint)
        experiment = stored if wanted is None else continued(stored, wanted)
        check_network(checkpoint, stored)
        trackers.check(experiment.run.trackers)
        progress = Progress.from_json(checkpoint.state["progress"])
        device = choose_device(experiment.run, world)
        terms = terms_of(experiment.loss, device)
    data = opened(experiment, device, world, checkpoint.section("preprocess"))
    with world.agreed():
        same_classes(checkpoint, data)
        check_batches(experiment, data)
        for term in terms:
            term.check(data)
        changes = _changes(stored, experiment, data, folder) if folder.is_ours else []
        check_length(experiment, progress, steps_per_epoch(experiment, data))
        learner = _restored(checkpoint, experiment, device, terms, world)
        for sentence in changes:
            voice.warn(f"the run goes on with changes: {sentence}")
        if folder.is_ours:
            folder.write_text(CONFIG, dump(experiment))
            manifest.write(experiment, data, folder, progress, changes)
            images.record(folder.path, images.keys_of(data), images.recorded(folder.path))
    voice.begun(f"resuming {folder.path}")
    signs = checkpoint.section("signs")
    return _run(experiment, data, learner, progress, folder, signs, voice.console, resumed=True)


def _changes(stored: Experiment, experiment: Experiment, data: DataBundle, folder: RunFolder) -> list[str]:
    """The other conditions under which a run goes on."""
    return [*told_changes(stored, experiment), *manifest.changes(data, folder, images.keys_of(data))]


def _restored(
    checkpoint: Checkpoint,
    experiment: Experiment,
    device: torch.device,
    terms: Sequence[Term],
    world: World,
) -> Learner:
    """The learner as the checkpoint has it."""
    model = build_model(experiment, input_shape(experiment.data), len(checkpoint.state["classes"]), device)
    learner = build_learner(experiment, model, device, terms, world)
    sections = {name: checkpoint.section(name) for name in ("model", "optimizer", "terms", "ema")}
    check_optimizers(sections["optimizer"], learner.optimizers)
    check_scaler(checkpoint.state["scaler"], learner.scaler.state_dict())
    learner.load(sections, checkpoint.state["scaler"])
    return learner


def _run(
    experiment: Experiment,
    data: DataBundle,
    learner: Learner,
    progress: Progress,
    folder: RunFolder,
    signs: dict[str, torch.Tensor],
    console: Console,
    beginning: Beginning | None = None,
    *,
    resumed: bool = False,
) -> dict[str, Any]:
    """Train to the end and report."""
    log = _log_of(experiment, folder, progress.step if resumed else None) if folder.is_ours else NoLog()
    recorder, world = Recorder(experiment, data, learner, folder, log, signs, console), data.world
    world.copy_first(learner.tensors())
    with console.logging_to(folder.path / LOG) if folder.is_ours else nullcontext():
        recorder.tell([*experiment.method.remarks, *data.remarks])
        if beginning is not None and beginning.started is not None:
            recorder.tell(one.told() for one in (beginning.started, beginning.solved) if one is not None)
            log.write("start", progress.step, 0, **beginning.started.to_json())
        recorder.tell(told_processes(experiment, data, learner))
        console.detail(told_sizes(experiment, data, learner))
        try:
            with StopRequest() as stop:
                train(experiment, data, learner, progress, recorder, log, stop)
            report = report_of(experiment, data, progress, folder, log)
        finally:
            log.close()
        if report:
            console.record(
                f"test top-1 {report['top1']:.2f} %, {report['correct']} of {report['total']} images"
            )
    number = world.largest(int(stop.signal or 0))[0]
    if number:  # after the last step, where the loop no longer asks
        raise stopped(Signals(number), "as the run ended; its report is written")
    return report


def _log_of(experiment: Experiment, folder: RunFolder, resume_step: int | None) -> MetricsLog:
    wanted = experiment.run.trackers
    return MetricsLog(
        folder.path,
        tensorboard=experiment.run.tensorboard or "tensorboard" in wanted,
        resume_step=resume_step,
        trackers=trackers.opened(wanted, folder.path, experiment.model_dump(mode="json"), resume_step),
    )
