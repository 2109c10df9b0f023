"""Checkpoints that a config names: the file that is meant, and whether it is still the same."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

from bnn_train.config.schema import CheckpointFile, Experiment
from bnn_train.errors import BnnError, CheckpointError, RunError
from bnn_train.files import expanded
from bnn_train.training.checkpoint import BEST, Checkpoint
from bnn_train.training.contents import CHECKPOINTS
from bnn_train.training.restore import open_checkpoint

Source = TypeVar("Source", bound=CheckpointFile)
START, TEACHER = "training.init_from", "loss.terms, teacher"
CHUNK = 2**20


def sources(experiment: Experiment) -> dict[str, list[CheckpointFile]]:
    """The checkpoints that a config names, by the key that names them."""
    start = experiment.training.init_from
    return {
        START: [] if start is None else [start],
        TEACHER: [term.teacher for term in experiment.loss.terms if term.teacher is not None],
    }


def open_source(source: CheckpointFile, where: str) -> tuple[Checkpoint, Experiment]:
    """The checkpoint and its config, found to fit each other. ``where``: the key that names it.

    Raises CheckpointError for a file that is missing, damaged, or another one than the digest says.
    """
    try:
        path = chosen(source)
        if source.sha256 is not None and (found := sha256_of(path)) != source.sha256:
            raise CheckpointError(
                f"{path}: has SHA-256 {found[:12]}…, and the config means one with {source.sha256[:12]}…;"
                " put that one back, or begin a new run without sha256"
            )
        return open_checkpoint(path)
    except BnnError as error:
        raise CheckpointError(f"{where}: {error}") from None


def chosen(source: CheckpointFile) -> Path:
    """The file itself, or the best checkpoint of a run's folder."""
    path = expanded(source.checkpoint)
    if not path.is_dir():
        return path
    best = path / CHECKPOINTS / BEST
    if not best.is_file():
        raise CheckpointError(f"{path}: no finished epoch to begin with: {best} does not exist")
    return best


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def pinned(experiment: Experiment) -> Experiment:
    """The experiment with the digest of every checkpoint that it names. Raises CheckpointError."""
    training, loss = experiment.training, experiment.loss
    if training.init_from is not None:
        start = _pinned(training.init_from, START)
        training = training.model_copy(update={"init_from": start})
    terms = [
        term.model_copy(update={"teacher": _pinned(term.teacher, TEACHER)}) if term.teacher else term
        for term in loss.terms
    ]
    loss = loss.model_copy(update={"terms": tuple(terms)})
    return experiment.model_copy(update={"training": training, "loss": loss})


def _pinned(source: Source, where: str) -> Source:
    if source.sha256 is not None:
        return source
    try:
        return source.model_copy(update={"sha256": sha256_of(chosen(source))})
    except BnnError as error:
        raise CheckpointError(f"{where}: {error}") from None


def refuse_within(experiment: Experiment, folder: Path) -> None:
    """Raise RunError where a checkpoint that a run begins with lies in the folder that it writes anew."""
    for where, named in sources(experiment).items():
        for source in named:
            path = expanded(source.checkpoint).resolve()
            if folder.resolve() in (path, *path.parents):
                raise RunError(
                    f"{where}: {source.checkpoint} lies in the run's own folder, which begins anew; choose"
                    " another folder by --set run.dir=FOLDER"
                )
