"""A run that goes on under another config or with other data: refused, or told in the report."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Literal, TypeVar

from bnn_train.config.schema import CheckpointFile, Data, Drawn, Experiment
from bnn_train.data.open import DataBundle
from bnn_train.errors import CheckpointError, RunError
from bnn_train.spec.annealed import curves
from bnn_train.training.checkpoint import Checkpoint
from bnn_train.training.progress import Progress
from bnn_train.training.schedules import curve_epochs
from bnn_train.training.source import taught, teacher_of

FREE_KEYS = (
    "reference",
    "run.dir",
    "run.device",
    "run.threads",
    "run.tensorboard",
    "run.trackers",
    "run.overwrite",
    "schedule.over",
    "data.root",
    "data.download",
    "data.workers",
    "data.resident",
    "data.eval_batch_size",
    "data.on_error",
    "training.epochs",
    "training.sync_norms",
    "training.log_every",
    "training.checkpoint_every",
    "training.checkpoint_minutes",
    "training.init_from.checkpoint",
)
"""Keys that may differ between a run and its continuation: none of them changes the steps already done."""


_MOVED = re.compile(r"^loss\.terms\.\d+\.teacher\.checkpoint$")
"""The key of a teacher's path, which may change: its digest says which teacher it is."""
Source = TypeVar("Source", bound=CheckpointFile)


def same_classes(checkpoint: Checkpoint, data: DataBundle) -> None:
    """The classes by name and order; a renumbered folder would score nonsense."""
    stored = tuple(checkpoint.state["classes"])
    if stored == data.classes:
        return
    first = next((f"{a!r} is now {b!r}" for a, b in zip(stored, data.classes, strict=False) if a != b), "")
    raise CheckpointError(
        f"the checkpoint knows {len(stored)} classes, the data has {len(data.classes)}"
        f"{': ' + first if first else ''}; give the data set it was trained on"
    )


def continued(stored: Experiment, wanted: Experiment) -> Experiment:
    """The wanted config, if the stored run may go on under it; else RunError lists what differs.

    Its validation images stay the ones that the run has drawn."""
    kept = stored.data.validation
    wanted = with_split(wanted, by=kept.by, drawn=wanted.data.validation.drawn or kept.drawn)
    wanted = with_found(wanted, stored.data)
    wanted = with_digests(wanted, stored)
    _check_annealed(stored, wanted)
    old, new = _dumped(stored), _dumped(wanted)
    changed = [
        key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key) and not _free(key)
    ]
    if changed:
        listed = "; ".join(f"{key}: {old.get(key)!r} → {new.get(key)!r}" for key in changed[:8])
        raise RunError(
            f"the config no longer is that of the run to resume ({listed});"
            " start a new run, or undo the change"
        )
    _check_curve(stored, wanted)
    return wanted


def _check_curve(stored: Experiment, wanted: Experiment) -> None:
    """Another number of epochs may stretch the learning rate's curve only where ``schedule.over`` says so."""
    old, new = _curve(stored), _curve(wanted)
    if old != new and getattr(wanted.schedule, "over", None) is None:
        raise RunError(
            f"training.epochs {wanted.training.epochs} would stretch the {wanted.schedule.name} schedule from"
            f" {old} to {new} epochs, so that the steps already done had other learning rates: keep its curve"
            f" by --set schedule.over={old}, or stretch it from here on by --set schedule.over={new}"
        )


def _check_annealed(stored: Experiment, wanted: Experiment) -> None:
    """Another number of epochs may stretch no annealed number that the steps done have read."""
    old, new = stored.training.epochs, wanted.training.epochs
    for key, curve in curves(wanted.model_dump(mode="json")):
        if old != new and curve["over"] is None:
            raise RunError(
                f"training.epochs {new} would stretch {key} from {old} to {new} epochs, and steps done had"
                f" other values; keep its curve by {key}.over: {old}"
            )


def _dumped(experiment: Experiment) -> dict[str, Any]:
    """The leaves of a config by key; every annealed number tells its length."""
    dumped = experiment.model_dump(mode="json")
    for _, curve in curves(dumped):
        curve["over"] = curve["over"] or experiment.training.epochs
    return _flat(dumped)


def _curve(experiment: Experiment) -> int | None:
    return curve_epochs(experiment.schedule, experiment.training.epochs)


def told_changes(stored: Experiment, wanted: Experiment) -> list[str]:
    """Settings that differ from those of the steps done, as the report must tell them."""
    old, new, told = _curve(stored), _curve(wanted), []
    if stored.training.epochs != wanted.training.epochs and old is not None:
        kept = f"kept over {old}" if old == new else f"stretched from {old} to {new}"
        told.append(
            f"{wanted.training.epochs} epochs instead of {stored.training.epochs}, the {wanted.schedule.name}"
            f" schedule {kept} epochs"
        )
    elif old != new:
        told.append(f"the {wanted.schedule.name} schedule stretched from {old} to {new} epochs")
    if stored.training.sync_norms != wanted.training.sync_norms:
        told.append(f"training.sync_norms {str(wanted.training.sync_norms).lower()}")
    if stored.run.device != wanted.run.device:
        told.append(f"run.device {wanted.run.device} instead of {stored.run.device}")
    return told


def check_length(wanted: Experiment, progress: Progress, steps_per_epoch: int) -> None:
    """Refuse fewer epochs than are done, and a position that is none of this run's."""
    step, done, epochs = progress.step, progress.epochs_finished, wanted.training.epochs
    if not done * steps_per_epoch <= step <= (done + 1) * steps_per_epoch:
        raise RunError(
            f"the checkpoint stands at step {step} after {done} epochs, but an epoch of these images has"
            f" {steps_per_epoch} steps; give the images and the config that the run began with"
        )
    if step > epochs * steps_per_epoch:
        raise RunError(
            f"training.epochs is {epochs}, but the run is in epoch {-(-step // steps_per_epoch)} already;"
            f" set it to {-(-step // steps_per_epoch)} or more, or begin a new run"
        )


def with_split(experiment: Experiment, *, by: Literal["name", "position"], drawn: Drawn | None) -> Experiment:
    """An experiment whose validation images are those that were drawn."""
    validation = experiment.data.validation.model_copy(update={"by": by, "drawn": drawn})
    section = experiment.data.model_copy(update={"validation": validation})
    return experiment.model_copy(update={"data": section})


def with_found(experiment: Experiment, data: Data) -> Experiment:
    """An experiment that knows, where it does not say otherwise, what ``data`` tells of its images."""
    own = experiment.data
    told = {"found": own.found or data.found, "statistics": own.statistics or data.statistics}
    return experiment.model_copy(update={"data": own.model_copy(update=told)})


def with_digests(experiment: Experiment, stored: Experiment) -> Experiment:
    """An experiment whose checkpoints, where it does not say otherwise, are the files that ``stored`` began
    with, wherever they lie."""
    training, loss = experiment.training, experiment.loss
    start, former = training.init_from, stored.training.init_from
    if start is not None and former is not None:
        training = training.model_copy(update={"init_from": _with_digest(start, former)})
    if len(loss.terms) == len(stored.loss.terms):
        terms = [
            taught(term, partial(_with_digest, former=teacher_of(earlier)))
            for term, earlier in zip(loss.terms, stored.loss.terms, strict=True)
        ]
        loss = loss.model_copy(update={"terms": tuple(terms)})
    return experiment.model_copy(update={"training": training, "loss": loss})


def _with_digest(source: Source, former: CheckpointFile | None) -> Source:
    return source if source.sha256 or former is None else source.model_copy(update={"sha256": former.sha256})


def _free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE_KEYS) or bool(_MOVED.search(key))


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of mappings and lists by their dotted keys."""
    if not isinstance(value, dict | list) or not value:
        return {prefix: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {
        k: v
        for key, inner in items
        for k, v in _flat(inner, f"{prefix}.{key}" if prefix else str(key)).items()
    }
