"""Counts of a classifier's right and wrong answers, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import torch
from torch import Tensor

from bnn_train.errors import DataError

Z95 = NormalDist().inv_cdf(0.975)


def wilson(correct: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion, in percent (Wilson 1927; Brown et al. 2001).

    Unlike p ± z·√(p(1−p)/n) it stays inside [0, 100] and does not shrink to nothing at 100 %.
    """
    p, spread = correct / total, Z95**2 / total
    centre = (p + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (p * (1 - p) + spread / 4)) / (1 + spread)
    return max(0.0, 100 * (centre - half)), min(100.0, 100 * (centre + half))


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """One pass over a split, in whole images; K classes."""

    confusion: Tensor
    """K×K int64: images by true class (row) and answer (column)."""
    top5_correct: int
    total: int
    """Images, those without an answer included."""
    loss: float
    """Mean over the images."""
    unscored: Tensor | None = None
    """K int64: images by true class whose logits held a NaN. They count as wrong."""

    @property
    def top1_correct(self) -> int:
        """Images whose first answer is right."""
        return int(self.confusion.diagonal().sum())

    @property
    def top1(self) -> float:
        """Percent."""
        return 100 * self.top1_correct / self.total

    @property
    def top5(self) -> float:
        """Percent of images with the truth among the five largest logits."""
        return 100 * self.top5_correct / self.total

    def interval(self, k: Literal[1, 5] = 1) -> tuple[float, float]:
        """95 % interval of top-k in percent."""
        return wilson(self.top1_correct if k == 1 else self.top5_correct, self.total)

    @property
    def class_totals(self) -> Tensor:
        """K int64: images of each true class."""
        answered = self.confusion.sum(dim=1)
        return answered if self.unscored is None else answered + self.unscored

    @property
    def per_class(self) -> list[float | None]:
        """Percent right of each true class; None for a class without images."""
        right, totals = self.confusion.diagonal().tolist(), self.class_totals.tolist()
        return [100 * r / n if n else None for r, n in zip(right, totals, strict=True)]


class Tally:
    """Adds up batches into an ``Evaluation``; the counts do not depend on how images are batched."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._confusion = torch.zeros(classes * classes, dtype=torch.int64)
        self._unscored = torch.zeros(classes, dtype=torch.int64)
        self._top5 = self._total = 0
        self._loss = 0.0

    def add(self, logits: Tensor, labels: Tensor, *, loss: float = math.nan) -> None:
        """Count N×K ``logits`` against N ``labels``; ``loss`` is the batch's mean.

        Logits rank from large to small, equal ones by class index, so that a constant network gets no
        image right but those of class 0. Raises DataError if the numbers of classes disagree.
        """
        self._check(logits, labels)
        labels, scored = labels.long(), ~logits.isnan().any(dim=1)
        ranked = logits.sort(dim=1, descending=True, stable=True).indices[:, :5]
        cells = labels * self._classes + ranked[:, 0]
        self._confusion += cells[scored].bincount(minlength=self._classes**2).cpu()
        self._unscored += labels[~scored].bincount(minlength=self._classes).cpu()
        self._top5 += int(((ranked == labels[:, None]).any(dim=1) & scored).sum())
        self._total += len(labels)
        self._loss += loss * len(labels)

    def result(self) -> Evaluation:
        """The counts so far. Raises DataError if there were no images."""
        if not self._total:
            raise DataError("the split to evaluate holds no images")
        return Evaluation(
            confusion=self._confusion.view(self._classes, self._classes).clone(),
            top5_correct=self._top5,
            total=self._total,
            loss=self._loss / self._total,
            unscored=self._unscored.clone(),
        )

    def _check(self, logits: Tensor, labels: Tensor) -> None:
        if logits.dim() != 2 or logits.shape[1] != self._classes:
            raise DataError(f"the model answers {logits.shape[-1]} classes, the data has {self._classes}")
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self._classes:
            raise DataError(
                f"labels run from {int(labels.min())} to {int(labels.max())}, but {self._classes} classes"
                f" are numbered 0 to {self._classes - 1}"
            )
