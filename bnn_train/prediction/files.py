"""Image files and folders through a classifier, some at a time; a file at fault stops no other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnn_train.data.walk import SUFFIXES, census
from bnn_train.errors import DataError, ImageError, printable
from bnn_train.files import expanded
from bnn_train.packed.images import read_file
from bnn_train.packed.program import Images
from bnn_train.packed.resample import Picture
from bnn_train.prediction.classifier import Classifier

_TOGETHER = 64
"""Images that are decoded before the network sees them."""


@dataclass(frozen=True)
class Prediction:
    """The answer for one file."""

    path: Path
    labels: tuple[str, ...] = ()
    """The likeliest classes, the first one first; empty for a file at fault."""
    shares: tuple[float, ...] = ()
    """Theirs of the softmax over all logits."""
    logits: tuple[float, ...] = ()
    error: str | None = None
    """A sentence on a file at fault."""

    @property
    def label(self) -> str | None:
        """The likeliest class."""
        return self.labels[0] if self.labels else None

    @property
    def share(self) -> float:
        """Its share of the softmax; 0 for a file at fault."""
        return self.shares[0] if self.shares else 0.0


def predict(
    model: Classifier, images: str | Path | Iterable[str | Path], top: int = 5, *, fit: bool = False
) -> Iterator[Prediction]:
    """The ``top`` classes of files and of all images below folders, in their order.

    ``fit``: resize and crop the images for a model that takes those of its own size alone. Raises DataError
    for a path that leads nowhere, before anything is read.
    """
    paths = image_files([images] if isinstance(images, str | Path) else images)
    contract = model.images
    if fit and contract.resize is None:
        contract = contract.model_copy(update={"resize": max(contract.height, contract.width)})
    return _predictions(model, paths, top, contract)


def image_files(given: Iterable[str | Path]) -> list[Path]:
    """Files as they are, and the images below folders by name. Raises DataError."""
    found: list[Path] = []
    for path in map(expanded, given):
        if path.is_dir():
            found += _below(path)
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"{printable(path)}: no such image or folder")
    return found


def _below(folder: Path) -> list[Path]:
    listed = census(folder.absolute().parent, folder.absolute().name)
    if not listed.images:
        told = listed.left_out()
        instead = f", but {told}" if told else ""
        raise DataError(f"{printable(folder)}: no image ({', '.join(SUFFIXES)}) in it{instead}")
    return [folder / Path(os.fsdecode(name)).relative_to(folder.absolute().name) for name in listed.images]


def _predictions(
    model: Classifier, paths: Sequence[Path], top: int, contract: Images
) -> Iterator[Prediction]:
    rest = iter(paths)
    while some := list(islice(rest, _TOGETHER)):
        read = [_read(path, contract) for path in some]
        pictures = [picture for picture in read if not isinstance(picture, str)]
        logits = iter(model(np.stack(pictures))) if pictures else iter(())
        for path, picture in zip(some, read, strict=True):
            if isinstance(picture, str):
                yield Prediction(path, error=picture)
            else:
                yield _ranked(path, next(logits), model.classes, top)


def _read(path: Path, contract: Images) -> Picture | str:
    """The pixels, or a sentence on the file."""
    try:
        return read_file(path, contract)
    except ImageError as error:
        return str(error)


def _ranked(path: Path, logits: NDArray[np.float32], classes: Sequence[str], top: int) -> Prediction:
    order = np.argsort(-logits, kind="stable")[:top]
    powers = np.exp(logits.astype(np.float64) - float(logits.max()))
    shares = powers / powers.sum()
    return Prediction(
        path=path,
        labels=tuple(classes[i] for i in order),
        shares=tuple(float(shares[i]) for i in order),
        logits=tuple(float(logits[i]) for i in order),
    )
