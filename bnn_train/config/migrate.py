"""What configs stored by earlier releases mean today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bnn_train.spec.datasets import DATASETS

_WHOLE = {"root", "workers", "augment", "test_limit", "validation"}
"""Keys of a data section that every release has stored, and nobody writes all of."""


def migrated(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config in today's words. Only a whole one, as a run writes it, can tell that a key is younger
    than it; anything else is left as it is."""
    data = stored.get("data")
    if not isinstance(data, dict) or not data.keys() >= _WHOLE:
        return dict(stored)
    validation, row = data["validation"], DATASETS.get(str(data.get("name")))
    if row is None or row.layout != "folder" or not isinstance(validation, dict) or "by" in validation:
        return dict(stored)
    return {**stored, "data": {**data, "validation": {**validation, "by": "position"}}}
