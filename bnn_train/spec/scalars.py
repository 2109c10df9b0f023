"""The number ranges that config sections share, and the shorthand of named sections."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from bnn_train.spec.record import Record

Rate = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class Shared(Record):
    """Fixed-point numbers that share an exponent."""

    bits: int = Field(default=9, ge=1, le=31)
    """B, without the sign."""
    exponent: Annotated[int, Field(ge=-31, le=31)] | None = None
    """I at the beginning: numbers reach to 2^I. Default: that of the largest number of the first batch."""
    dynamic: bool = True
    """Whether I follows the numbers."""
    every: Count = 100
    """Batches between two decisions."""
    overflow: float = Field(default=1e-4, ge=0, lt=1)
    """The share of numbers at the end of the range that is allowed."""


def named(value: Any) -> Any:
    """A bare string stands for a mapping with that name: ``adam`` for ``{name: adam}``."""
    return {"name": value} if isinstance(value, str) else value
