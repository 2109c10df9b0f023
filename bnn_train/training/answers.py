"""The answers of a network to every image of a split, collected while it is evaluated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_train.data.open import DataBundle
from bnn_train.errors import DataError
from bnn_train.report.mistakes import COUNT, Mistake, Picture, write_mistakes
from bnn_train.report.predictions import Prediction, worst, write_predictions


class Answers:
    """``see`` is told the logits and labels of each batch, and keeps four numbers of each image."""

    def __init__(self) -> None:
        self._found: list[Tensor] = []

    def see(self, logits: Tensor, labels: Tensor) -> None:
        """Keep them on their device, which is not waited for."""
        logits, labels = logits.double(), labels.long()
        known = labels.clamp(0, logits.shape[1] - 1)[:, None]
        answer = logits.sort(dim=1, descending=True, stable=True).indices[:, 0]
        others = logits.scatter(1, known, float("-inf")).amax(dim=1)
        margin = logits.gather(1, known)[:, 0] - others
        probability = logits.softmax(dim=1).gather(1, answer[:, None])[:, 0]
        unanswered = logits.isnan().any(dim=1)
        answer = torch.where(unanswered, -1, answer)
        margin = torch.where(unanswered, float("-inf"), margin)
        probability = torch.where(unanswered, 0.0, probability)
        self._found.append(torch.stack([labels.double(), answer.double(), probability, margin], dim=1))

    def add_up(self, data: DataBundle, split: str) -> None:
        """Take in the answers that the processes have found, each to its images."""
        if data.world.alone:
            return
        whole = torch.zeros(len(data.splits[split].positions), 4, dtype=torch.float64)
        if self._found:
            whole[torch.from_numpy(data.places(split))] = torch.cat(self._found).cpu()
        data.world.add([whole])
        self._found = [whole]

    def predictions(self, data: DataBundle, split: str) -> list[Prediction]:
        """The images in the order of evaluation, with the names of their classes."""
        columns = torch.cat(self._found).cpu().T.tolist()
        classes = [*data.classes, "-"]  # −1 is the last one
        return [
            Prediction(name, classes[int(label)], classes[int(answer)], probability, margin)
            for name, label, answer, probability, margin in zip(_names(data, split), *columns, strict=True)
        ]


def _names(data: DataBundle, split: str) -> list[str]:
    names = data.names(split)
    if names is None:
        return [str(position) for position in data.splits[split].positions]
    return [os.fsdecode(bytes(name)) for name in names]


def mistakes(data: DataBundle, split: str, predictions: Sequence[Prediction]) -> list[tuple[int, Mistake]]:
    """The worst ones, with their places among the predictions and the pixels that the network saw."""
    rows = worst(predictions, COUNT)
    pictures = _pixels(data, split, rows) if rows else []
    return [(row, Mistake(predictions[row], image)) for row, image in zip(rows, pictures, strict=False)]


def record(folder: Path, data: DataBundle, split: str, answers: Answers) -> list[Mistake]:
    """Write both files of a run; returns the mistakes. Raises RunError where they cannot be written."""
    predictions = answers.predictions(data, split)
    found = mistakes(data, split, predictions)
    write_predictions(folder, predictions)
    images: list[Picture] = [one.pixels for _, one in found]
    write_mistakes(folder, [row for row, _ in found], np.array(images, np.uint8))
    return [one for _, one in found]


def _pixels(data: DataBundle, split: str, rows: Sequence[int]) -> list[NDArray[np.uint8]]:
    chosen = data.splits[split]
    positions = chosen.positions[np.asarray(rows, np.int64)]
    try:
        batches = list(chosen.source.batches(positions, None, COUNT))
    except DataError:  # files that went away since they were scored
        return []
    return [
        np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
        for images, _ in batches
        for image in images
    ]
