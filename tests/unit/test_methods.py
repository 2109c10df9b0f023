"""Every row of the method table against its paper: what it changes about the real-valued twin."""

from __future__ import annotations

from typing import Any

import pytest

from bnn_train.spec.methods import ENTRIES, METHODS
from rows import REAL, changes

CHANGES = changes()
BOUND = "estimator.bound"
"""Of an estimator that clips; 1 goes without saying."""


def facts(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    inner = (facts(v, f"{prefix}.{key}" if prefix else key) for key, v in value.items())
    return {key: fact for part in inner for key, fact in part.items()}


@pytest.mark.parametrize("name", sorted(METHODS.keys() | CHANGES.keys()))
def test_row(name: str) -> None:
    row = METHODS[name].model_dump()
    assert row.pop("name") == name
    assert row.pop("paper")
    told = {key: fact for key, fact in facts(row).items() if not (key.endswith(BOUND) and fact == 1.0)}
    assert told == REAL | CHANGES[name]


def test_every_row_has_its_parent() -> None:
    """The family tree holds together: a parent is a row, and no row is its own ancestor."""
    for entry in ENTRIES.values():
        seen = {entry.name}
        while entry.parent:
            entry = ENTRIES[entry.parent]
            assert entry.name not in seen
            seen.add(entry.name)
