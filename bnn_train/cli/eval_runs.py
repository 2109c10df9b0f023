"""One pass of ``bnn-eval`` over a split: a checkpoint with torch, an export with its runtime."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bnn_train.cli.eval_data import differences, open_split
from bnn_train.config.loader import from_mapping
from bnn_train.config.local import located
from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle
from bnn_train.data.pixels import pixel_batches
from bnn_train.errors import CheckpointError, ConfigError
from bnn_train.export.run import outside
from bnn_train.export.targets.target import Logits, Opened
from bnn_train.inspect.evaluation import Evaluation, Tally
from bnn_train.packed import load
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import Header
from bnn_train.training.compatible import same_classes
from bnn_train.training.losses import criterion
from bnn_train.training.restore import evaluate_checkpoint, open_checkpoint
from bnn_train.training.setup import choose_device


@dataclass(frozen=True)
class Scored:
    """The score of a network on a split."""

    title: str
    data: str
    evaluation: Evaluation
    seconds: float
    """Images read, normalized and classified."""
    notes: tuple[str, ...]
    """Sentences on the images that the score is of."""


def score_checkpoint(path: Path, split: str, changes: Mapping[str, Any], *, device: str) -> Scored:
    """A checkpoint over a split; ``changes``: to the data section."""
    checkpoint, experiment = open_checkpoint(path)
    chosen = choose_device(experiment.run.model_copy(update={"device": device}))
    preprocess = checkpoint.section("preprocess")
    data = open_split(
        experiment.data, split, changes, seed=experiment.seed, device=chosen, preprocess=preprocess
    )
    same_classes(checkpoint, data)
    different = differences(data, split, path.absolute().parent.parent)
    start = time.perf_counter()
    _, result = evaluate_checkpoint(checkpoint, data, split, device=chosen)
    seconds = time.perf_counter() - start
    notes = (*data.remarks, *different)
    return Scored(_title(experiment), data.config.name, result, seconds, notes)


def score_packed(
    path: Path, split: str, changes: Mapping[str, Any], *, kernel: str | None, threads: int
) -> Scored:
    """A packed file over a split."""
    model = load(path, threads=threads, kernel=kernel)
    return score_opened(path, Opened(model.header, f"packed, kernel {model.kernel}", model), split, changes)


def score_opened(path: Path, opened: Opened, split: str, changes: Mapping[str, Any]) -> Scored:
    """An export over a split by its own runtime: raw pixels in, as everywhere where it is used."""
    experiment = _experiment(path, opened.header)
    section = experiment.data.model_copy(update={"normalize": ()})
    cpu = torch.device("cpu")
    data = open_split(section, split, changes, seed=experiment.seed, device=cpu, preprocess={})
    _same_classes(path, opened.header, data)
    different = differences(data, split, None)
    start = time.perf_counter()
    result = _count(opened.logits, data, split, experiment)
    title = f"{_title(experiment)}, {opened.runtime}"
    seconds = time.perf_counter() - start
    return Scored(title, section.name, result, seconds, (*data.remarks, *different, *outside(experiment)))


def pixels_of(
    path: Path, header: Header, split: str, changes: Mapping[str, Any]
) -> Iterator[NDArray[np.uint8]]:
    """The raw images of a split, batch by batch, as an export reads them."""
    experiment = _experiment(path, header)
    section = experiment.data.model_copy(update={"normalize": ()})
    data = open_split(
        section, split, changes, seed=experiment.seed, device=torch.device("cpu"), preprocess={}
    )
    _same_classes(path, header, data)
    return (pixels for pixels, _ in pixel_batches(data, split))


def _title(experiment: Experiment) -> str:
    return f"{experiment.method.name} {experiment.model.name}"


def _experiment(path: Path, header: Header) -> Experiment:
    try:
        return from_mapping(located(header.experiment, path.absolute().parent))
    except ConfigError as error:
        wrong = "; ".join(error.problems)
        raise PackedFileError(f"{path}: the config in it is not one of this bnn_train ({wrong})") from None


def _same_classes(path: Path, header: Header, data: DataBundle) -> None:
    if header.classes != data.classes:
        raise CheckpointError(
            f"{path} knows the classes {_few(header.classes)}, the data has {_few(data.classes)};"
            " give the data set it was trained on"
        )


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f", … ({len(names)})" if len(names) > 4 else "")


def _count(classify: Logits, data: DataBundle, split: str, experiment: Experiment) -> Evaluation:
    tally, loss = Tally(len(data.classes)), criterion(experiment.loss).scored
    for pixels, labels in pixel_batches(data, split):
        logits = torch.from_numpy(classify(pixels))
        tally.add(logits, labels, loss=float(loss(logits, labels)))
    return tally.result()
