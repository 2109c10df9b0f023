"""Splits of earlier releases, drawn by the place of each image in the list of all: are they the same?"""

from __future__ import annotations

import json
from pathlib import Path

from bnn_train.data.bundle import DataBundle
from bnn_train.errors import DataError, printable


def same_places(data: DataBundle, run: Path | None) -> bool:
    """Whether the run's manifest has the digests of these training files; False where nothing tells.

    True for a split that does not depend on places. Raises DataError where the files are others.
    """
    if data.config.validation.by != "position" or not data.sizes.get("validation", 1):
        return True
    digests = {} if run is None else _recorded(run)
    known = digests.keys() & data.digests.keys()
    if any(digests[name] != data.digests[name] for name in known):
        raise DataError(
            f"{printable(data.config.root)}: the training folder holds other files than when the run began,"
            " and an earlier release drew its validation images by their place among all: others would now be"
            " in their places; put the files back, evaluate the test split, or start a new run"
        )
    return bool(known)


def _recorded(run: Path) -> dict[str, str]:
    try:
        manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
        return dict(manifest["data"]["digests"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
