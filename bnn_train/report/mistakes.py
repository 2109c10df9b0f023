"""mistakes.safetensors: the worst mistakes of a run as small pictures, so that a report needs no data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load, save

from bnn_train.errors import RunError
from bnn_train.files import write_atomic
from bnn_train.report.predictions import Prediction

MISTAKES = "mistakes.safetensors"
COUNT = 30
LONGEST = 96
"""Pixels of the longer side that a kept picture has at most."""
Picture = NDArray[np.uint8]
"""H×W×C, of one or three channels."""


@dataclass(frozen=True)
class Mistake:
    """A picture with its prediction."""

    prediction: Prediction
    pixels: Picture


def write_mistakes(folder: Path, rows: Sequence[int], images: Picture) -> None:
    """``rows``: which line of predictions.csv each of the ``images`` (N×H×W×C) is of, from 0.

    Raises RunError where the file cannot be written."""
    small = np.stack([_shrunk(one) for one in images]) if len(images) else np.zeros((0, 1, 1, 1), np.uint8)
    tensors: dict[str, NDArray[Any]] = {"rows": np.asarray(rows, np.int64), "images": small}
    write_atomic(folder / MISTAKES, save(tensors))


def read_mistakes(folder: Path, predictions: Sequence[Prediction]) -> list[Mistake] | None:
    """Worst first; None for a run that kept none. Raises RunError for a damaged file."""
    path = folder / MISTAKES
    if not path.is_file():
        return None
    try:
        tensors = load(path.read_bytes())
        rows, images = tensors["rows"].tolist(), tensors["images"]
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError("it holds no images")
        return [Mistake(predictions[row], image) for row, image in zip(rows, images, strict=True)]
    except (SafetensorError, KeyError, IndexError, ValueError, OSError) as error:
        raise RunError(f"{path}: cannot be read ({error}); remove it, and it is made anew") from None


def _shrunk(pixels: Picture) -> Picture:
    height, width = pixels.shape[:2]
    if max(height, width) <= LONGEST:
        return pixels
    share = LONGEST / max(height, width)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    resized = Image.fromarray(pixels.squeeze()).resize(size, Image.Resampling.LANCZOS)
    return np.asarray(resized).reshape(size[1], size[0], pixels.shape[2])
