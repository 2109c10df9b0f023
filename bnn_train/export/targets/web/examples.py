"""Test images that a page carries, and how a data set's images are drawn by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import BnnError, ExportError
from bnn_train.export.licences import licence_of
from bnn_train.packed.program import Header

COUNT = 10
_SEEN = 400
"""Test images among which one of each class is looked for."""
PENS: dict[str, dict[str, float | str]] = {
    "mnist": {"fit": "mass", "box": 20, "stroke": 0.12},
    "digits": {"fit": "counts", "narrow": 0.25, "wide": 0.6, "ink": 0.305, "stroke": 0.12},
}
"""How handwriting becomes an image of these data sets.

mnist: the ink's longer side is ``box`` pixels, its centre of mass the image's middle (yann.lecun.com's page).
digits: counts of set bits in 4×4 blocks of a 32×32 bitmap (UCI's page); measured on its images: full height,
``narrow`` to ``wide`` of the width, ``ink`` of all bits set. stroke: the pen's share of the longer side."""

Pixels = NDArray[np.uint8]
NONE = np.zeros((0,), np.uint8), ()


def data_of(header: Header) -> str:
    """The name of the data set that a network was trained on; empty if the file does not tell."""
    data = header.experiment.get("data")
    name = data.get("name") if isinstance(data, dict) else None
    return name if isinstance(name, str) else ""


def examples(header: Header, wanted: str, folder: str) -> tuple[Pixels, tuple[int, ...], str]:
    """Test images of different classes, their labels, and a sentence where there are none.

    ``wanted``: ``auto``, where the licence allows it and the files are there; ``yes``; ``no``.
    Raises ExportError where they were asked for and cannot be had.
    """
    if wanted == "no":
        return *NONE, ""
    licence = licence_of(data_of(header))
    if wanted == "auto" and not licence.may_copy:
        return *NONE, f"no example images: {licence.reason}; --with examples=yes puts some in all the same"
    try:
        pixels, labels = _chosen(header, folder)
    except BnnError as error:
        reason = str(error).partition("\n")[0]
        if wanted == "yes":
            raise ExportError(f"no example images: {reason}; give --with data=FOLDER") from error
        return *NONE, f"no example images: {reason}; --with data=FOLDER names their folder"
    return pixels, labels, ""


def _chosen(header: Header, folder: str) -> tuple[Pixels, tuple[int, ...]]:
    """The first test image of each class, in the order of the classes."""
    pixels, labels = _read(header, folder)
    first: dict[int, int] = {}
    for at, label in enumerate(labels):
        first.setdefault(int(label), at)
    chosen = [first[label] for label in sorted(first)][:COUNT]
    return pixels[chosen], tuple(int(labels[at]) for at in chosen)


def _read(header: Header, folder: str) -> tuple[Pixels, NDArray[np.int64]]:
    import torch  # reads data sets; a page itself needs none

    from bnn_train.config.loader import from_mapping
    from bnn_train.data.open import open_data
    from bnn_train.data.pixels import pixel_batches

    experiment: Any = from_mapping(header.experiment)
    changes: dict[str, Any] = {"normalize": (), "download": False, **({"root": folder} if folder else {})}
    section = experiment.data.model_copy(update=changes)
    cpu = torch.device("cpu")
    data = open_data(section, seed=experiment.seed, device=cpu, splits=("test",), preprocess={})
    pairs = list(pixel_batches(data, "test", limit=_SEEN))
    shape = (header.images.height, header.images.width, header.images.channels)
    if not pairs or pairs[0][0].shape[1:] != shape:
        raise ExportError(f"{Path(section.root)} holds no test images of this network's size")
    return np.concatenate([p for p, _ in pairs]), np.concatenate([t.numpy() for _, t in pairs])
