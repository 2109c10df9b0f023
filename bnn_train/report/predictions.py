"""predictions.csv: every test image of a run with its class and the network's answer."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bnn_train.errors import RunError
from bnn_train.files import write_atomic

PREDICTIONS = "predictions.csv"
HEAD = ("image", "label", "answer", "probability", "margin")


@dataclass(frozen=True)
class Prediction:
    """A line of the file."""

    image: str
    """Its file's name, or its number in the test set, from 0."""
    label: str
    answer: str
    """The class with the largest logit; ``-`` where a logit was NaN."""
    probability: float
    """Softmax of the answer."""
    margin: float
    """The label's logit less the largest of the others: below 0 where the answer is wrong."""

    @property
    def is_right(self) -> bool:
        """Whether label and answer agree."""
        return self.label == self.answer


def write_predictions(folder: Path, predictions: Sequence[Prediction]) -> None:
    """Raises RunError where the file cannot be written."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for one in predictions:
        writer.writerow([one.image, one.label, one.answer, f"{one.probability:.4f}", f"{one.margin:.4g}"])
    write_atomic(folder / PREDICTIONS, text.getvalue().encode("utf-8", "surrogateescape"))


def read_predictions(folder: Path) -> list[Prediction] | None:
    """None for a run that wrote none. Raises RunError for a damaged file."""
    path = folder / PREDICTIONS
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = list(csv.reader(file))
        if tuple(rows[0]) != HEAD:
            raise ValueError(f"its columns are not {', '.join(HEAD)}")
        return [Prediction(a, b, c, float(p), float(m)) for a, b, c, p, m in rows[1:]]
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise RunError(f"{path}: cannot be read ({error}); remove it, and it is computed anew") from None


def worst(predictions: Sequence[Prediction], count: int) -> list[int]:
    """The positions of the wrong answers that were given with the largest margin, worst first."""
    wrong = [i for i, one in enumerate(predictions) if not one.is_right]
    return sorted(wrong, key=lambda i: (predictions[i].margin, i))[:count]
