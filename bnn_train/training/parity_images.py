"""Images kept in a run's folder, so that an export can prove its parity without the data."""

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

NAME = "parity_images.safetensors"
FORMER_NAME = "calibration.safetensors"
"""The file's name in the runs of 0.1.0."""
COUNT = 16


def record(folder: Path, data: DataBundle) -> None:
    """Keep the first validation images, or training images where there are none, as uint8 N×H×W×C."""
    split = "validation" if data.sizes.get("validation") else "train"
    images = np.concatenate([pixels for pixels, _ in pixel_batches(data, split, COUNT, COUNT, scored=False)])
    write_atomic(folder / NAME, save({"images": images}))


def recorded(folder: Path) -> NDArray[np.uint8] | None:
    """The kept images, or None for a run without them. Raises CheckpointError for a damaged file."""
    path = next((folder / name for name in (NAME, FORMER_NAME) if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        images = load(path.read_bytes())["images"]
    except (SafetensorError, KeyError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or cut short ({error}); give --parity-data") from None
    if images.dtype != np.uint8 or images.ndim != 4:
        raise CheckpointError(f"{path}: does not hold images; give --parity-data")
    return images
