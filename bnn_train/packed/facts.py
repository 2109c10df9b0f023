"""A file's tensors and what was found out about them, so that one shared by a thousand steps is read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import contents

Array = NDArray[Any]
_BLOCK = 2**14


class Fact:
    """One tensor."""

    def __init__(self, tensor: Array) -> None:
        self.tensor = tensor
        self._answers: dict[contents.Check, str | None] = {}

    def wrong(self, check: contents.Check) -> str | None:
        """The check's answer."""
        if isinstance(check, contents.Between):
            return check.judge(*self.extremes)
        if check not in self._answers:
            self._answers[check] = check(self.tensor)
        return self._answers[check]

    @cached_property
    def extremes(self) -> tuple[int, int]:
        """The least and the largest of whole numbers."""
        return int(self.tensor.min()), int(self.tensor.max())

    @cached_property
    def total(self) -> int:
        """The sum of whole numbers below 2³¹."""
        return int(self.tensor.sum(dtype=np.int64))

    @cached_property
    def digit_sum(self) -> int:
        """Of int8 digits D×O×…: the largest Σ_d 256^d Σ |digit_d| of any filter."""
        digits, filters = self.tensor.shape[:2]
        rows = self.tensor.reshape(digits, filters, -1)
        some = max(1, _BLOCK // (digits * rows.shape[2]))
        factors = 256 ** np.arange(digits, dtype=np.int64)
        most = 0
        for at in range(0, filters, some):
            sums = np.abs(rows[:, at : at + some].astype(np.int16)).sum(axis=2, dtype=np.int64)
            most = max(most, int((factors @ sums).max()))
        return most


class Facts(Mapping[str, Fact]):
    """All tensors, by name."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._facts = {name: Fact(tensor) for name, tensor in tensors.items()}

    def __getitem__(self, name: str) -> Fact:
        return self._facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)
