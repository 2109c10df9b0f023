"""Counts of a classifier's right and wrong answers, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import Literal

import torch
from torch import Tensor

from bnn_train.errors import DataError
from bnn_train.world import World

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
        self._counts: _Counts | None = None
        self._total = 0

    def add(self, logits: Tensor, labels: Tensor, *, loss: float | Tensor = math.nan) -> None:
        """Count N×K ``logits`` against N ``labels``; ``loss`` is the batch's mean.

        Logits rank from large to small, equal ones by class index, so that a constant network gets no
        image right but those of class 0. Raises DataError if the numbers of classes disagree. Adds up on
        the device of the logits and does not wait for it.
        """
        if logits.dim() != 2 or logits.shape[1] != self._classes:
            raise DataError(f"the model answers {logits.shape[-1]} classes, the data has {self._classes}")
        if self._counts is None:
            self._counts = _Counts(self._classes, logits.device)
        self._counts.add(logits, labels.long(), loss)
        self._total += len(labels)

    def add_up(self, world: World, device: torch.device) -> None:
        """Take in the counts of all processes, each of which has seen some of the images."""
        counts = self._counts = self._counts or _Counts(self._classes, device)
        total = torch.tensor(self._total)
        world.add([total])
        counts.add_up(world)
        self._total = int(total)

    def result(self) -> Evaluation:
        """The counts so far. Raises DataError if there were no images, or labels that are no class."""
        if self._counts is None or not self._total:
            raise DataError("the split to evaluate holds no images")
        return self._counts.result(self._total)


class _Counts:
    """The sums, on one device."""

    def __init__(self, classes: int, device: torch.device) -> None:
        self._classes = classes
        zeros = partial(torch.zeros, dtype=torch.int64, device=device)
        self._confusion, self._unscored, self._top5 = zeros(classes**2), zeros(classes), zeros(())
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._least, self._most = zeros(()), zeros(())

    def add(self, logits: Tensor, labels: Tensor, loss: float | Tensor) -> None:
        """See ``Tally``. A label that is no class counts for the nearest until ``result`` refuses it."""
        if not len(labels):
            return
        self._least = torch.minimum(self._least, labels.min())
        self._most = torch.maximum(self._most, labels.max())
        labels, scored = labels.clamp(0, self._classes - 1), ~logits.isnan().any(dim=1)
        ranked = logits.sort(dim=1, descending=True, stable=True).indices[:, :5]
        cells = labels * self._classes + ranked[:, 0]
        self._confusion.index_add_(0, cells, scored.long())
        self._unscored.index_add_(0, labels, (~scored).long())
        self._top5 += ((ranked == labels[:, None]).any(dim=1) & scored).sum()
        self._loss += (loss.double() if isinstance(loss, Tensor) else loss) * len(labels)

    def add_up(self, world: World) -> None:
        """See ``Tally``."""
        world.add([self._confusion, self._unscored, self._top5, self._loss])
        least, most = world.largest(-int(self._least), int(self._most))
        self._least.fill_(-least)
        self._most.fill_(most)

    def result(self, total: int) -> Evaluation:
        """As whole numbers on the CPU."""
        least, most = int(self._least), int(self._most)
        if least < 0 or most >= self._classes:
            raise DataError(
                f"labels run from {least} to {most}, but {self._classes} classes"
                f" are numbered 0 to {self._classes - 1}"
            )
        return Evaluation(
            confusion=self._confusion.cpu().view(self._classes, self._classes).clone(),
            top5_correct=int(self._top5),
            total=total,
            loss=float(self._loss) / total,
            unscored=self._unscored.cpu().clone(),
        )
