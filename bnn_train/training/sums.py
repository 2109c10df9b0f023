"""Loss and right answers of an epoch, added up on the device and read when a line is written."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from bnn_train.training.progress import Meter
from bnn_train.training.step import Sums


class EpochSums:
    """Goes on from a meter's numbers; ``read`` brings them up to date, and alone waits for the device."""

    def __init__(self, meter: Meter, device: torch.device) -> None:
        self._meter = meter
        self._loss = torch.tensor(meter.loss, dtype=torch.float64, device=device)
        self._correct = torch.tensor(meter.correct, dtype=torch.int64, device=device)
        self._seen = meter.seen
        self._lost = torch.tensor(-1, dtype=torch.int64, device=device)

    def add(self, batches: Iterable[Sums], step: int) -> None:
        """Count what ``step`` saw."""
        for sums in batches:
            self._loss += sums.loss
            self._correct += sums.correct
            self._seen += sums.images
        first = (self._lost < 0) & ~self._loss.isfinite()
        self._lost = torch.where(first, step, self._lost)

    def read(self) -> int | None:
        """Fill the meter; the first step whose loss was not finite, if there is one."""
        self._meter.loss, self._meter.correct = float(self._loss), int(self._correct)
        self._meter.seen = self._seen
        lost = int(self._lost)
        return None if lost < 0 else lost
