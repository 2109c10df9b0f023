"""A run from its first step, or from its last checkpoint, to its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bnn_train.config.loader import dump, load
from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle, open_data
from bnn_train.errors import CheckpointError, Interrupted
from bnn_train.inspect import diagnostics
from bnn_train.inspect.layers import layer_table
from bnn_train.report import trackers
from bnn_train.report.metrics import MetricsLog
from bnn_train.report.pictures import confusion_sheet, mistake_sheet
from bnn_train.report.top1 import build_report, write_report
from bnn_train.report.versions import versions
from bnn_train.spec.inputs import input_shape
from bnn_train.training import answers, images, manifest, parity_images
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.batches import check_batches
from bnn_train.training.checkpoint import Checkpoint
from bnn_train.training.compatible import (
    check_length,
    continued,
    same_classes,
    told_changes,
    with_found,
    with_split,
)
from bnn_train.training.console import LOG, Console
from bnn_train.training.contents import CHECKPOINTS, CONFIG
from bnn_train.training.fits import check_network, check_optimizers, check_scaler
from bnn_train.training.folder import RunFolder, Warn, clear, create, refuse_others, reopen, run_path
from bnn_train.training.loop import train
from bnn_train.training.losses.table import terms_of
from bnn_train.training.losses.terms import Term
from bnn_train.training.position import steps_per_epoch
from bnn_train.training.progress import Progress
from bnn_train.training.records import Recorder
from bnn_train.training.restore import evaluate_checkpoint, experiment_of
from bnn_train.training.setup import Learner, build_learner, build_model, choose_device, told_sizes
from bnn_train.training.signals import StopRequest
from bnn_train.training.solve import Solved, solve_weights
from bnn_train.training.source import pinned, refuse_within
from bnn_train.training.stages import Started, start_weights


def start(
    experiment: Experiment,
    warn: Warn = lambda sentence: None,
    begun: Warn = lambda sentence: None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Train from scratch in a fresh run folder; returns the report. ``begun`` is told once nothing stands in
    the way of the first step, ``console`` all that follows."""
    path, overwrite = run_path(experiment), experiment.run.overwrite
    refuse_others(path, overwrite)
    experiment = pinned(experiment)
    refuse_within(experiment, path)
    beginning = _prepared(experiment)
    with create(path, overwrite=overwrite, warn=warn) as folder:
        return _begin(beginning, folder, _Voice(warn, begun, console or Console()))


def resume(
    path: Path,
    experiment: Experiment | None,
    warn: Warn = lambda sentence: None,
    begun: Warn = lambda sentence: None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Go on with the run in ``path`` from its newest intact checkpoint, or begin it again where it ended
    before its first; returns the report.

    ``experiment``, if given, may differ from the stored one in ``compatible.FREE_KEYS`` alone.
    """
    voice = _Voice(warn, begun, console or Console())
    with reopen(path) as folder:
        if not ckpt.saved(folder.checkpoints):
            return _begin_again(experiment, folder, voice)
        checkpoint, skipped = ckpt.newest(folder.checkpoints)
        for sentence in skipped:
            warn(f"{sentence}; using an older checkpoint")
        return _go_on(checkpoint, experiment, folder, voice)


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


@dataclass(frozen=True)
class _Beginning:
    """A run before its first step. The experiment knows its split and the digests of what it starts from."""

    experiment: Experiment
    data: DataBundle
    learner: Learner
    started: Started | None
    solved: Solved | None


def _prepared(experiment: Experiment) -> _Beginning:
    """All that a run begins with: every mistake is told while its folder is as it was."""
    trackers.check(experiment.run.trackers)
    experiment, device = pinned(experiment), choose_device(experiment.run)
    terms = terms_of(experiment.loss, device)
    data = open_data(experiment.data, seed=experiment.seed, device=device)
    check_batches(experiment, data)
    for term in terms:
        term.check(data)
    model = build_model(experiment, data.shape, len(data.classes), device)
    started = start_weights(model, experiment)
    solved = solve_weights(model, experiment, data)
    drawn = data.config.validation
    experiment = with_found(with_split(experiment, by=drawn.by, drawn=drawn.drawn), data.config)
    return _Beginning(experiment, data, build_learner(experiment, model, device, terms), started, solved)


def _begin(beginning: _Beginning, folder: RunFolder, voice: _Voice) -> dict[str, Any]:
    experiment, data, learner = beginning.experiment, beginning.data, beginning.learner
    folder.write_text(CONFIG, dump(experiment))
    parity_images.record(folder.path, data)
    images.record(folder.path, images.keys_of(data))
    manifest.write(experiment, data, folder, Progress(), [], origins=_origins(beginning))
    signs = diagnostics.packed_codes(learner.model)
    voice.begun(f"run folder: {folder.path}")
    return _run(experiment, data, learner, Progress(), folder, signs, voice.console, beginning)


def _origins(beginning: _Beginning) -> list[str]:
    """Sentences on the other networks that went into a run, for its report."""
    started = [] if beginning.started is None else [beginning.started.told()]
    solved = [] if beginning.solved is None else [beginning.solved.told()]
    return [*started, *solved, *(term.told() for term in beginning.learner.terms)]


def _begin_again(experiment: Experiment | None, folder: RunFolder, voice: _Voice) -> dict[str, Any]:
    """A run that ended before its first checkpoint has nothing to lose."""
    experiment = experiment or stored_experiment(folder.path)
    beginning = _prepared(experiment)
    clear(folder)
    voice.warn(f"{folder.path}: the run ended before its first checkpoint, so it begins again")
    return _begin(beginning, folder, voice)


def _go_on(
    checkpoint: Checkpoint, wanted: Experiment | None, folder: RunFolder, voice: _Voice
) -> dict[str, Any]:
    stored = experiment_of(checkpoint)
    experiment = stored if wanted is None else continued(stored, wanted)
    check_network(checkpoint, stored)
    trackers.check(experiment.run.trackers)
    progress = Progress.from_json(checkpoint.state["progress"])
    device = choose_device(experiment.run)
    terms = terms_of(experiment.loss, device)
    preprocess = checkpoint.section("preprocess")
    data = open_data(experiment.data, seed=experiment.seed, device=device, preprocess=preprocess)
    same_classes(checkpoint, data)
    check_batches(experiment, data)
    for term in terms:
        term.check(data)
    keys = images.keys_of(data)
    changes = [*told_changes(stored, experiment), *manifest.changes(data, folder, keys)]
    check_length(experiment, progress, steps_per_epoch(experiment, data))
    learner = _restored(checkpoint, experiment, device, terms)
    for sentence in changes:
        voice.warn(f"the run goes on with changes: {sentence}")
    folder.write_text(CONFIG, dump(experiment))
    manifest.write(experiment, data, folder, progress, changes)
    images.record(folder.path, keys, images.recorded(folder.path))
    voice.begun(f"resuming {folder.path}")
    signs = checkpoint.section("signs")
    return _run(experiment, data, learner, progress, folder, signs, voice.console, resumed=True)


def _restored(
    checkpoint: Checkpoint, experiment: Experiment, device: torch.device, terms: Sequence[Term]
) -> Learner:
    """The learner as the checkpoint has it."""
    model = build_model(experiment, input_shape(experiment.data), len(checkpoint.state["classes"]), device)
    learner = build_learner(experiment, model, device, terms)
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
    beginning: _Beginning | None = None,
    *,
    resumed: bool = False,
) -> dict[str, Any]:
    """Train to the end and report."""
    wanted, resume_step = experiment.run.trackers, progress.step if resumed else None
    log = MetricsLog(
        folder.path,
        tensorboard=experiment.run.tensorboard or "tensorboard" in wanted,
        resume_step=resume_step,
        trackers=trackers.opened(wanted, folder.path, experiment.model_dump(mode="json"), resume_step),
    )
    recorder = Recorder(experiment, data, learner, folder, log, signs, console)
    with console.logging_to(folder.path / LOG):
        recorder.tell([*experiment.method.remarks, *data.remarks])
        if beginning is not None and beginning.started is not None:
            recorder.tell(one.told() for one in (beginning.started, beginning.solved) if one is not None)
            log.write("start", progress.step, 0, **beginning.started.to_json())
        console.detail(told_sizes(experiment, data, learner))
        try:
            with StopRequest() as stop:
                train(experiment, data, learner, progress, recorder, log, stop)
            report = _report(experiment, data, progress, folder, log)
            log.write(
                "test", progress.step, progress.epochs_finished, top1=report["top1"], top5=report["top5"]
            )
        finally:
            log.close()
        console.record(f"test top-1 {report['top1']:.2f} %, {report['correct']} of {report['total']} images")
    if stop.signal is not None:  # after the last step, where the loop no longer asks
        raise Interrupted(
            f"stopped by {stop.signal.name} as the run ended; its report is written", stop.exit_code
        )
    return report


def _report(
    experiment: Experiment, data: DataBundle, progress: Progress, folder: RunFolder, log: MetricsLog
) -> dict[str, Any]:
    """The test set, once, with the weights of the chosen checkpoint as its file has them."""
    best, found = ckpt.read(folder.checkpoints / ckpt.BEST), answers.Answers()
    device = choose_device(experiment.run)
    model, evaluation = evaluate_checkpoint(best, data, "test", device=device, see=found.see)
    layers = layer_table(model, data.shape)
    report = build_report(
        experiment=experiment,
        evaluation=evaluation,
        classes=data.classes,
        layers=layers,
        history=progress.history,
        best_epoch=progress.best_epoch,
        wall_time_s=progress.seconds,
        images_per_s=_speed(progress, data, experiment),
        versions=versions(),
        changes=manifest.notes(folder),
        data_notes=data.remarks,
    )
    write_report(folder.path, report)
    worst = answers.record(folder.path, data, "test", found)
    if log.shows_images:
        log.image("test/confusion", confusion_sheet(report["confusion"], data.classes), progress.step)
        if worst:
            log.image("test/worst mistakes", mistake_sheet(worst), progress.step)
    return report


def _speed(progress: Progress, data: DataBundle, experiment: Experiment) -> float:
    images = progress.epochs_finished * min(
        data.sizes["train"], data.batches_per_epoch * experiment.data.batch_size
    )
    return images / progress.seconds if progress.seconds else 0.0
