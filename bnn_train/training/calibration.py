"""A few images of a run, kept beside its checkpoints, so that an export can be checked without the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from bnn_train.data.bundle import DataBundle
from bnn_train.data.pixels import pixel_batches
from bnn_train.errors import CheckpointError
from bnn_train.files import write_atomic

NAME = "calibration.safetensors"
COUNT = 16


def record(folder: Path, data: DataBundle) -> None:
    """Keep the first validation images, or training images where there are none, as uint8 N×H×W×C."""
    split = "validation" if data.sizes.get("validation") else "train"
    images = np.concatenate([pixels for pixels, _ in pixel_batches(data, split, COUNT, COUNT, scored=False)])
    write_atomic(folder / NAME, save({"images": images}))


def recorded(folder: Path) -> NDArray[np.uint8] | None:
    """The kept images, or None for a run without them. Raises CheckpointError for a damaged file."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        images = load(path.read_bytes())["images"]
    except (SafetensorError, KeyError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or cut short ({error}); give --parity-data") from None
    if images.dtype != np.uint8 or images.ndim != 4:
        raise CheckpointError(f"{path}: does not hold images; give --parity-data")
    return images
