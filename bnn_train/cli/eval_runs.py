"""One pass of ``bnn-eval`` over a split: a checkpoint with torch, a packed file with the packed runtime."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bnn_train.config.loader import from_mapping
from bnn_train.config.local import located
from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle, open_data
from bnn_train.data.pixels import pixel_batches
from bnn_train.errors import CheckpointError, ConfigError
from bnn_train.packed import PackedModel, load
from bnn_train.packed.errors import PackedFileError
from bnn_train.report.evaluation import Evaluation, Tally
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.compatible import same_classes
from bnn_train.training.losses import criterion
from bnn_train.training.restore import evaluate_checkpoint, experiment_of
from bnn_train.training.setup import choose_device


@dataclass(frozen=True)
class Scored:
    """What came out, and of what."""

    title: str
    data: str
    evaluation: Evaluation
    seconds: float
    """Images read, normalized and classified."""


def score_checkpoint(path: Path, split: str, changes: Mapping[str, Any], *, device: str) -> Scored:
    """A checkpoint over a split; ``changes``: to the data section."""
    checkpoint = ckpt.read(path)
    experiment = experiment_of(checkpoint)
    chosen = choose_device(experiment.run.model_copy(update={"device": device}))
    data = open_data(
        experiment.data.model_copy(update=changes),
        seed=experiment.seed,
        device=chosen,
        splits=(split,),
        preprocess=checkpoint.section("preprocess"),
    )
    same_classes(checkpoint, data)
    start = time.perf_counter()
    _, result = evaluate_checkpoint(checkpoint, data, split, device=chosen)
    return Scored(_title(experiment), data.config.name, result, time.perf_counter() - start)


def score_packed(
    path: Path, split: str, changes: Mapping[str, Any], *, kernel: str | None, threads: int
) -> Scored:
    """A packed file over a split: raw pixels in, as everywhere where it is used."""
    model = load(path, threads=threads, kernel=kernel)
    experiment = _experiment(path, model)
    section = experiment.data.model_copy(update={**changes, "normalize": ()})
    data = open_data(
        section, seed=experiment.seed, device=torch.device("cpu"), splits=(split,), preprocess={}
    )
    _same_classes(path, model, data)
    start = time.perf_counter()
    result = _count(model, data, split, experiment)
    title = f"{_title(experiment)}, packed, kernel {model.kernel}"
    return Scored(title, section.name, result, time.perf_counter() - start)


def _title(experiment: Experiment) -> str:
    return f"{experiment.method.name} {experiment.model.name}"


def _experiment(path: Path, model: PackedModel) -> Experiment:
    try:
        return from_mapping(located(model.header.experiment, path.absolute().parent))
    except ConfigError as error:
        wrong = "; ".join(error.problems)
        raise PackedFileError(f"{path}: the config in it is not one of this bnn_train ({wrong})") from None


def _same_classes(path: Path, model: PackedModel, data: DataBundle) -> None:
    if model.header.classes != data.classes:
        raise CheckpointError(
            f"{path} knows the classes {_few(model.header.classes)}, the data has {_few(data.classes)};"
            " give the data set it was trained on"
        )


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f", … ({len(names)})" if len(names) > 4 else "")


def _count(model: PackedModel, data: DataBundle, split: str, experiment: Experiment) -> Evaluation:
    tally, loss = Tally(len(data.classes)), criterion(experiment.loss)
    for pixels, labels in pixel_batches(data, split):
        logits = torch.from_numpy(model(pixels))
        tally.add(logits, labels, loss=float(loss(logits, labels)))
    return tally.result()
