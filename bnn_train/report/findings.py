"""The part of a report that a run's text files do not hold: filters, mistakes, the packed twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bnn_train.inspect.filters import Filters
from bnn_train.report.mistakes import Mistake


@dataclass(frozen=True)
class Twin:
    """The packed network beside the trained one."""

    file_bytes: int
    real_bytes: int
    """Of the network in 32 bits."""
    packed_ms: float
    """For one image; the median."""
    trained_ms: float
    kernel: str
    images: int
    """On so many images both gave the same answers, as an export proves."""


@dataclass(frozen=True)
class Findings:
    """Each with a sentence in its place where there is none."""

    filters: Filters | str
    mistakes: Sequence[Mistake] | str
    twin: Twin | str
