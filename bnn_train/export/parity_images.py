"""The images on which an export is checked: a split of the run's data, else the few kept in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bnn_train.config.schema import Data, Experiment
from bnn_train.data.open import SPLITS, open_data
from bnn_train.data.pixels import pixel_batches
from bnn_train.errors import DataError, ExportError
from bnn_train.spec.inputs import is_folder, validates
from bnn_train.training.parity_images import recorded


@dataclass(frozen=True)
class Images:
    """uint8 N×H×W×C."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    origin: str
    """Where they are from, for people."""


def parity_images(checkpoint: Path, experiment: Experiment, wanted: str | None, count: int) -> Images:
    """``wanted``: a split, or the folder of the images, or None for what there is.

    Raises DataError for data that was asked for and cannot be used, ExportError if there is none at all.
    """
    split = wanted if wanted in SPLITS else _default_split(experiment.data)
    section = experiment.data if wanted is None or wanted in SPLITS else _moved(experiment.data, wanted)
    if is_folder(section):
        section = section.model_copy(update={"workers": 0})  # a few pictures are not worth processes
    try:
        return _of_split(section, experiment.seed, split, count)
    except DataError as error:
        if wanted is not None:
            raise
        return _of_run(checkpoint, count, error)


def _default_split(data: Data) -> str:
    return "validation" if validates(data) else "test"


def _moved(data: Data, root: str) -> Data:
    return data.model_copy(update={"root": root, "download": False})


def _of_split(section: Data, seed: int, split: str, count: int) -> Images:
    plain = section.model_copy(update={"normalize": ()})
    data = open_data(plain, seed=seed, device=torch.device("cpu"), splits=(split,), preprocess={})
    pairs = list(pixel_batches(data, split, limit=count))
    if not pairs:
        raise DataError(f"the {split} split of {section.name} holds no images")
    pixels, labels = zip(*pairs, strict=True)
    return Images(np.concatenate(pixels), torch.cat(labels).numpy(), f"{split} split of {section.name}")


def _of_run(checkpoint: Path, count: int, error: DataError) -> Images:
    kept = recorded(checkpoint.absolute().parent.parent)
    if kept is None:
        raise ExportError(
            f"there are no images to compare the networks on ({error}), and the run's folder holds none;"
            " give --parity-data FOLDER"
        )
    return Images(kept[:count], None, "images recorded in the run's folder")
