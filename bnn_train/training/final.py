"""The end of a run: the test set, once, and the report."""

from __future__ import annotations

from typing import Any

from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle
from bnn_train.inspect.evaluation import Evaluation
from bnn_train.inspect.layers import LayerRow, layer_table
from bnn_train.report.metrics import MetricsLog
from bnn_train.report.pictures import confusion_sheet, mistake_sheet
from bnn_train.report.top1 import build_report, write_report
from bnn_train.report.versions import versions
from bnn_train.training import answers, manifest
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.folder import RunFolder
from bnn_train.training.progress import Progress
from bnn_train.training.restore import evaluate_checkpoint
from bnn_train.training.setup import choose_device


def report_of(
    experiment: Experiment, data: DataBundle, progress: Progress, folder: RunFolder, log: MetricsLog
) -> dict[str, Any]:
    """Score the test set with the weights of the chosen checkpoint as its file has them, and write the
    report, which is also returned; an empty one where another process writes."""
    best, found = ckpt.sent(folder.checkpoints / ckpt.BEST, data.world), answers.Answers()
    device = choose_device(experiment.run, data.world)
    model, evaluation = evaluate_checkpoint(best, data, "test", device=device, see=found.see)
    found.add_up(data, "test")
    report: dict[str, Any] = {}
    with data.world.agreed():
        if folder.is_ours:
            layers = layer_table(model, data.shape)
            report = _written(experiment, data, progress, folder, log, (evaluation, layers, found))
    return report


def _written(
    experiment: Experiment,
    data: DataBundle,
    progress: Progress,
    folder: RunFolder,
    log: MetricsLog,
    seen: tuple[Evaluation, list[LayerRow], answers.Answers],
) -> dict[str, Any]:
    evaluation, layers, found = seen
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
    log.write("test", progress.step, progress.epochs_finished, top1=report["top1"], top5=report["top5"])
    return report


def _speed(progress: Progress, data: DataBundle, experiment: Experiment) -> float:
    images = progress.epochs_finished * min(
        data.sizes["train"], data.batches_per_epoch * experiment.data.batch_size
    )
    return images / progress.seconds if progress.seconds else 0.0
