"""Data sets that plug-ins read, held against their rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnn_train.errors import DataError
from bnn_train.spec.data import Data
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.inputs import num_classes
from bnn_train.spec.outside import maker_of

Array = np.ndarray[Any, Any]


def foreign(config: Data, part: str) -> tuple[Array, Array]:
    """The images of ``train`` or ``test``, uint8 N×C×H×W, and their labels, int64, by a plug-in's function.

    Raises DataError where they are not what the data set's row promises.
    """
    images, labels = (np.asarray(found) for found in maker_of(config.name)(config, part))
    wrong = _wrong(images, labels, DATASETS[config.name].shape, num_classes(config))
    if wrong:
        raise DataError(f"data set {config.name}, part {part}: what its plug-in reads is unfit: {wrong}")
    return np.ascontiguousarray(images), np.ascontiguousarray(labels, dtype=np.int64)


def _wrong(images: Array, labels: Array, shape: tuple[int, int, int], classes: int) -> str:
    if images.dtype != np.uint8 or images.shape[1:] != shape:
        return f"images are {images.dtype} {_sizes(images.shape)}, not uint8 N×{_sizes(shape)}"
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        return f"labels are {labels.dtype} {_sizes(labels.shape)}, not {len(images)} whole numbers"
    if not len(labels) or int(labels.min()) < 0 or int(labels.max()) >= classes:
        return f"there is no image, or a label outside 0 … {classes - 1}"
    return ""


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a single number"
