"""A run from its first step, or from its last checkpoint, to its report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bnn_train.config.loader import dump
from bnn_train.config.local import shown_words
from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle, open_data
from bnn_train.errors import Interrupted
from bnn_train.report import diagnostics
from bnn_train.report.layers import layer_table
from bnn_train.report.metrics import MetricsLog
from bnn_train.report.top1 import build_report, write_report
from bnn_train.report.versions import git_revision, machine, versions
from bnn_train.training import calibration
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.compatible import continued, same_classes
from bnn_train.training.folder import RunFolder, create, reopen
from bnn_train.training.loop import train
from bnn_train.training.progress import Progress
from bnn_train.training.records import Recorder
from bnn_train.training.restore import evaluate_checkpoint, experiment_of
from bnn_train.training.setup import Learner, build_learner, build_model, choose_device
from bnn_train.training.signals import StopRequest

Told = Callable[[str], None]


def start(experiment: Experiment, begun: Told = lambda sentence: None) -> dict[str, Any]:
    """Train from scratch in a fresh run folder; returns the report. ``begun`` is told once nothing stands in
    the way of the first step."""
    device = choose_device(experiment.run)
    data = open_data(experiment.data, seed=experiment.seed, device=device)
    model = build_model(experiment, data.shape, len(data.classes), device)
    learner = build_learner(experiment, model, device)
    with create(run_path(experiment), overwrite=experiment.run.overwrite) as folder:
        folder.write_text("config.yaml", dump(experiment))
        calibration.record(folder.path, data)
        signs = diagnostics.packed_signs(model)
        begun(f"run folder: {folder.path}")
        return _run(experiment, data, learner, Progress(), folder, signs, resumed=False)


def resume(
    path: Path,
    experiment: Experiment | None,
    warn: Told = lambda sentence: None,
    begun: Told = lambda sentence: None,
) -> dict[str, Any]:
    """Go on with the run in ``path`` from its newest intact checkpoint; returns the report.

    ``experiment``, if given, may differ from the stored one in ``compatible.FREE_KEYS`` alone.
    """
    with reopen(path) as folder:
        checkpoint, skipped = ckpt.newest(folder.checkpoints)
        for sentence in skipped:
            warn(sentence)
        stored = experiment_of(checkpoint)
        experiment = stored if experiment is None else continued(stored, experiment)
        device = choose_device(experiment.run)
        preprocess = checkpoint.section("preprocess")
        data = open_data(experiment.data, seed=experiment.seed, device=device, preprocess=preprocess)
        same_classes(checkpoint, data)
        model = build_model(experiment, data.shape, len(data.classes), device)
        learner = build_learner(experiment, model, device)
        sections = {name: checkpoint.section(name) for name in ("model", "optimizer", "ema")}
        learner.load(sections, checkpoint.state["scaler"])
        folder.write_text("config.yaml", dump(experiment))
        progress = Progress.from_json(checkpoint.state["progress"])
        signs = checkpoint.section("signs")
        begun(f"resuming {path}")
        return _run(experiment, data, learner, progress, folder, signs, resumed=True)


def run_path(experiment: Experiment) -> Path:
    """The run folder of an experiment."""
    return Path(experiment.run.dir or "runs/unnamed")


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
    _write_manifest(experiment, data, folder, progress)
    log = MetricsLog(
        folder.path, tensorboard=experiment.run.tensorboard, resume_step=progress.step if resumed else None
    )
    recorder = Recorder(experiment, data, learner, folder, log, signs)
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
    )
    write_report(folder.path, report)
    return report


def _speed(progress: Progress, data: DataBundle, experiment: Experiment) -> float:
    images = progress.epochs_finished * min(
        data.sizes["train"], data.batches_per_epoch * experiment.data.batch_size
    )
    return images / progress.seconds if progress.seconds else 0.0


def _write_manifest(experiment: Experiment, data: DataBundle, folder: RunFolder, progress: Progress) -> None:
    """What this run ran on; every start of it is listed."""
    started = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": [Path(sys.argv[0]).name, *shown_words(sys.argv[1:])],
        "from_step": progress.step,
    }
    manifest = {
        "starts": [*folder.read_json("manifest.json").get("starts", []), started],
        "seed": experiment.seed,
        "versions": versions(),
        "machine": machine(),
        "git": git_revision(),
        "data": {"sizes": data.sizes, "digests": data.digests},
    }
    folder.write_json("manifest.json", manifest)
