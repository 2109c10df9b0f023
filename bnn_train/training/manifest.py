"""manifest.json: what each start of a run ran on, and what had changed since the one before."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bnn_train.config.local import shown_words
from bnn_train.config.schema import Experiment
from bnn_train.data.bundle import batches_per_epoch
from bnn_train.data.open import DataBundle
from bnn_train.errors import RunError
from bnn_train.report.versions import git_revision, machine, versions
from bnn_train.training import images
from bnn_train.training.contents import MANIFEST
from bnn_train.training.folder import RunFolder
from bnn_train.training.images import Keys
from bnn_train.training.progress import Progress

MACHINE = ("cpu", "isa", "threads", "gpus", "processes")
"""Of what ``machine`` tells: that on which the last bits of a result depend."""


def write(
    experiment: Experiment,
    data: DataBundle,
    folder: RunFolder,
    progress: Progress,
    changes: list[str],
    *,
    origins: Sequence[str] = (),
) -> None:
    """Every start of the run is listed; all else is of this one. ``origins``: other networks that went in."""
    started = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": [Path(sys.argv[0]).name, *shown_words(sys.argv[1:])],
        "from_step": progress.step,
    }
    if changes:
        started["changes"] = changes
    if origins:
        started["origins"] = list(origins)
    manifest = {
        "starts": [*_starts(folder.read_json(MANIFEST)), started],
        "seed": experiment.seed,
        "versions": versions(),
        "machine": {**machine(), "processes": data.world.size},
        "git": git_revision(),
        "data": {"sizes": data.sizes, "digests": data.digests},
    }
    folder.write_json(MANIFEST, manifest)


def notes(folder: RunFolder) -> list[str]:
    """For the report: what the run began with, and where it went on under other conditions than before."""
    told: list[str] = []
    for start in _starts(folder.read_json(MANIFEST)):
        told += map(str, _list(start, "origins"))
        if changed := "; ".join(map(str, _list(start, "changes"))):
            told.append(f"The run went on after step {start.get('from_step')} with changes: {changed}.")
    return list(dict.fromkeys(told))  # a start that was killed at once is repeated


def _starts(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    starts = manifest.get("starts")
    return [start for start in starts if isinstance(start, dict)] if isinstance(starts, list) else []


def _list(start: Mapping[str, Any], key: str) -> list[Any]:
    value = start.get(key)
    return value if isinstance(value, list) else []


def changes(data: DataBundle, folder: RunFolder, keys: Keys) -> list[str]:
    """Differences from the last start in images, versions and machine, in words.

    Raises RunError where the run cannot go on with these images: where an epoch has another length than its
    position counts in, or where an image that was trained on would now choose the epoch.
    """
    before = folder.read_json(MANIFEST)
    known = before.get("data") if isinstance(before.get("data"), dict) else {}
    _check_epoch(data, _mapping(known, "sizes"))
    earlier = images.recorded(folder.path)
    told = images.changes(earlier, keys)
    if not told:
        told = _other_files(data, known)
        if keys and not earlier:
            _check_listing(data, _mapping(known, "digests"))
    return [
        *told,
        *_differences(_mapping(before, "versions"), versions()),
        *_differences(
            {k: v for k, v in _mapping(before, "machine").items() if k in MACHINE},
            {**machine(), "processes": data.world.size},
        ),
    ]


def _mapping(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _check_epoch(data: DataBundle, sizes: Mapping[str, Any]) -> None:
    images_before = sizes.get("train")
    if not isinstance(images_before, int):
        return
    before = batches_per_epoch(data.config, images_before)
    if before != data.batches_per_epoch:
        raise RunError(
            f"there are {data.sizes['train']:,} training images where the run had {images_before:,}, so an"
            f" epoch has {data.batches_per_epoch} batches instead of {before} and the run's position is lost;"
            " put the images back, or start a new run"
        )


def _check_listing(data: DataBundle, digests: Mapping[str, Any]) -> None:
    """For a run that kept no names of its images: whether the validation split may have moved."""
    other = [name for name, digest in data.digests.items() if digests.get(name, digest) != digest]
    if data.sizes.get("validation") and any(name.startswith("train") for name in other):
        raise RunError(
            "the training folder no longer holds the images that the run began with, and it kept no list of"
            " them, so that it may validate on images it has trained on; put them back, or start a new run"
        )


def _other_files(data: DataBundle, known: Any) -> list[str]:
    """Differences by the files' digests, for images without names and runs begun before names were kept."""
    digests, sizes = _mapping(known, "digests"), _mapping(known, "sizes")
    told = [
        f"{split} images: {count:,} instead of {sizes[split]:,}"
        for split, count in data.sizes.items()
        if isinstance(sizes.get(split), int) and sizes[split] != count
    ]
    other = [name for name, digest in data.digests.items() if digests.get(name, digest) != digest]
    return [*told, *([f"other images in {', '.join(other)}"] if other else [])]


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} {now[name]} instead of {value}"
        for name, value in before.items()
        if name in now and now[name] != value
    ]
