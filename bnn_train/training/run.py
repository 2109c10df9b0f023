"""A run from its first step, or from its last checkpoint, to its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bnn_train.config.loader import dump, load
from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle, open_data
from bnn_train.errors import CheckpointError, Interrupted
from bnn_train.inspect import diagnostics
from bnn_train.inspect.layers import layer_table
from bnn_train.report.metrics import MetricsLog
from bnn_train.report.top1 import build_report, write_report
from bnn_train.report.versions import versions
from bnn_train.spec.inputs import input_shape
from bnn_train.training import checkpoint as ckpt
from bnn_train.training import images, manifest, parity_images
from bnn_train.training.batches import check_batches
from bnn_train.training.checkpoint import Checkpoint
from bnn_train.training.compatible import check_length, continued, same_classes, told_changes, with_split
from bnn_train.training.contents import CHECKPOINTS, CONFIG
from bnn_train.training.fits import check_network, check_optimizers, check_scaler
from bnn_train.training.folder import RunFolder, Warn, clear, create, refuse_others, reopen, run_path
from bnn_train.training.loop import steps_per_epoch, train
from bnn_train.training.progress import Progress
from bnn_train.training.records import Recorder
from bnn_train.training.restore import evaluate_checkpoint, experiment_of
from bnn_train.training.setup import Learner, build_learner, build_model, choose_device
from bnn_train.training.signals import StopRequest


def start(
    experiment: Experiment, warn: Warn = lambda sentence: None, begun: Warn = lambda sentence: None
) -> dict[str, Any]:
    """Train from scratch in a fresh run folder; returns the report. ``begun`` is told once nothing stands in
    the way of the first step."""
    path, overwrite = run_path(experiment), experiment.run.overwrite
    refuse_others(path, overwrite)
    data, learner = _prepared(experiment)
    with create(path, overwrite=overwrite, warn=warn) as folder:
        return _begin(experiment, data, learner, folder, begun)


def resume(
    path: Path,
    experiment: Experiment | None,
    warn: Warn = lambda sentence: None,
    begun: Warn = lambda sentence: None,
) -> dict[str, Any]:
    """Go on with the run in ``path`` from its newest intact checkpoint, or begin it again where it ended
    before its first; returns the report.

    ``experiment``, if given, may differ from the stored one in ``compatible.FREE_KEYS`` alone.
    """
    with reopen(path) as folder:
        if not ckpt.saved(folder.checkpoints):
            return _begin_again(experiment, folder, warn, begun)
        checkpoint, skipped = ckpt.newest(folder.checkpoints)
        for sentence in skipped:
            warn(f"{sentence}; using an older checkpoint")
        return _go_on(checkpoint, experiment, folder, warn, begun)


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


def _prepared(experiment: Experiment) -> tuple[DataBundle, Learner]:
    """The data and the learner of a run: every mistake is told while its folder is as it was."""
    device = choose_device(experiment.run)
    data = open_data(experiment.data, seed=experiment.seed, device=device)
    check_batches(experiment, data)
    model = build_model(experiment, data.shape, len(data.classes), device)
    return data, build_learner(experiment, model, device)


def _begin(
    experiment: Experiment, data: DataBundle, learner: Learner, folder: RunFolder, begun: Warn
) -> dict[str, Any]:
    drawn = data.config.validation
    experiment = with_split(experiment, by=drawn.by, drawn=drawn.drawn)
    folder.write_text(CONFIG, dump(experiment))
    parity_images.record(folder.path, data)
    images.record(folder.path, images.keys_of(data))
    manifest.write(experiment, data, folder, Progress(), [])
    signs = diagnostics.packed_signs(learner.model)
    begun(f"run folder: {folder.path}")
    return _run(experiment, data, learner, Progress(), folder, signs, resumed=False)


def _begin_again(experiment: Experiment | None, folder: RunFolder, warn: Warn, begun: Warn) -> dict[str, Any]:
    """A run that ended before its first checkpoint has nothing to lose."""
    experiment = experiment or stored_experiment(folder.path)
    data, learner = _prepared(experiment)
    clear(folder)
    warn(f"{folder.path}: the run ended before its first checkpoint, so it begins again")
    return _begin(experiment, data, learner, folder, begun)


def _go_on(
    checkpoint: Checkpoint, wanted: Experiment | None, folder: RunFolder, warn: Warn, begun: Warn
) -> dict[str, Any]:
    stored = experiment_of(checkpoint)
    experiment = stored if wanted is None else continued(stored, wanted)
    check_network(checkpoint, stored)
    progress = Progress.from_json(checkpoint.state["progress"])
    device = choose_device(experiment.run)
    preprocess = checkpoint.section("preprocess")
    data = open_data(experiment.data, seed=experiment.seed, device=device, preprocess=preprocess)
    same_classes(checkpoint, data)
    check_batches(experiment, data)
    keys = images.keys_of(data)
    changes = [*told_changes(stored, experiment), *manifest.changes(data, folder, keys)]
    check_length(experiment, progress, steps_per_epoch(experiment, data))
    learner = _restored(checkpoint, experiment, device)
    for sentence in changes:
        warn(f"the run goes on with changes: {sentence}")
    folder.write_text(CONFIG, dump(experiment))
    manifest.write(experiment, data, folder, progress, changes)
    images.record(folder.path, keys, images.recorded(folder.path))
    begun(f"resuming {folder.path}")
    return _run(experiment, data, learner, progress, folder, checkpoint.section("signs"), resumed=True)


def _restored(checkpoint: Checkpoint, experiment: Experiment, device: torch.device) -> Learner:
    """The learner as the checkpoint has it."""
    model = build_model(experiment, input_shape(experiment.data), len(checkpoint.state["classes"]), device)
    learner = build_learner(experiment, model, device)
    sections = {name: checkpoint.section(name) for name in ("model", "optimizer", "ema")}
    check_optimizers(sections["optimizer"], learner.optimizers, experiment.optimizer.name)
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
    *,
    resumed: bool,
) -> dict[str, Any]:
    log = MetricsLog(
        folder.path, tensorboard=experiment.run.tensorboard, resume_step=progress.step if resumed else None
    )
    recorder = Recorder(experiment, data, learner, folder, log, signs)
    recorder.tell(data.remarks)
    try:
        with StopRequest() as stop:
            train(experiment, data, learner, progress, recorder, log, stop)
        report = _report(experiment, data, progress, folder)
        log.write("test", progress.step, progress.epochs_finished, top1=report["top1"], top5=report["top5"])
    finally:
        log.close()
    if stop.signal is not None:  # after the last step, where the loop no longer asks
        raise Interrupted(
            f"stopped by {stop.signal.name} as the run ended; its report is written", stop.exit_code
        )
    return report


def _report(
    experiment: Experiment, data: DataBundle, progress: Progress, folder: RunFolder
) -> dict[str, Any]:
    """The test set, once, with the weights of the chosen checkpoint as its file has them."""
    best = ckpt.read(folder.checkpoints / ckpt.BEST)
    model, evaluation = evaluate_checkpoint(best, data, "test", device=choose_device(experiment.run))
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
    return report


def _speed(progress: Progress, data: DataBundle, experiment: Experiment) -> float:
    images = progress.epochs_finished * min(
        data.sizes["train"], data.batches_per_epoch * experiment.data.batch_size
    )
    return images / progress.seconds if progress.seconds else 0.0
