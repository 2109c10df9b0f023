"""The split that ``bnn-eval`` scores: found where the run had it, and the same images as then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bnn_train.config.schema import Data
from bnn_train.data.files import FILES
from bnn_train.data.open import DataBundle, open_data
from bnn_train.errors import DataError, printable
from bnn_train.files import expanded
from bnn_train.spec.inputs import is_folder
from bnn_train.training.places import same_places


def open_split(
    section: Data,
    split: str,
    changes: Mapping[str, Any],
    *,
    seed: int,
    device: torch.device,
    preprocess: Mapping[str, Tensor],
) -> DataBundle:
    """The split of a run's data section with ``changes`` laid over it. Raises DataError, which says so where
    ``root`` among the changes would help."""
    here = section.model_copy(update=changes)
    root = expanded(here.root)
    moved = "root" not in changes and not here.download and _has_files(here)
    if moved and not root.exists():
        named = section.root != Data.model_fields["root"].default  # what is given away names no folder
        had = f", and the run had its images in {printable(section.root)}" if named else ""
        raise DataError(f"{printable(root.absolute())}: no such folder{had}; give --root FOLDER")
    try:
        return open_data(here, seed=seed, device=device, splits=(split,), preprocess=preprocess)
    except DataError as error:
        if moved and not root.is_absolute():
            raise DataError(f"{error} (or give --root FOLDER, if the images are elsewhere)") from error
        raise


def _has_files(section: Data) -> bool:
    return section.name in FILES or is_folder(section)


def differences(data: DataBundle, split: str, run: Path | None) -> list[str]:
    """Sentences on how the scored images may differ from the run's, beside the data's own remarks.
    ``run``: its folder, where there is one.

    Raises DataError where a split by position has moved: it would score images that were trained on.
    """
    if split == "test" or same_places(data, run):
        return []
    return [
        "this run draws its validation images by their place in the list of all, so they are the ones it had"
        " only where the training folder holds the same files"
    ]
