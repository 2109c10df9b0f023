"""The number ranges that config sections share, and the shorthand of named sections."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

Rate = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


def named(value: Any) -> Any:
    """A bare string stands for a mapping with that name: ``adam`` for ``{name: adam}``."""
    return {"name": value} if isinstance(value, str) else value
