"""What configs stored by earlier releases mean today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bnn_train.data.catalog import DATASETS


def migrated(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config in today's words. Only a whole one, as a run writes it, can tell that a key is older
    than it; anything else is left as it is."""
    data = stored.get("data")
    validation = data.get("validation") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(validation, dict) or "by" in validation:
        return dict(stored)
    row = DATASETS.get(str(data.get("name")))
    if row is None or row.layout != "folder":
        return dict(stored)
    return {**stored, "data": {**data, "validation": {**validation, "by": "position"}}}
