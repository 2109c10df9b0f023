"""A list of the images that a run has read, kept in its folder to tell a later start what became of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from bnn_train.data.bundle import DataBundle
from bnn_train.errors import RunError
from bnn_train.files import write_atomic

NAME = "images.safetensors"
TRAINED = "trained"
"""Beside the splits: all that any start of the run has trained on."""
Keys = Mapping[str, NDArray[np.int64]]


def keys_of(data: DataBundle) -> Keys:
    """Per split the sorted 64-bit keys of its images' names; empty for data without names."""
    named = {split: data.names(split) for split in data.splits}
    return {split: _keys(names) for split, names in named.items() if names is not None}


def _keys(names: NDArray[Any]) -> NDArray[np.int64]:
    digests = b"".join(hashlib.blake2b(name, digest_size=8).digest() for name in names)
    return np.unique(np.frombuffer(digests, dtype="<i8").astype(np.int64))


def record(folder: Path, keys: Keys, before: Keys | None = None) -> None:
    """Keep the keys of this start; ``before``: those of the starts it goes on from."""
    if not keys:
        return
    earlier = (before or {}).get(TRAINED, np.empty(0, np.int64))
    content = {**keys, TRAINED: np.union1d(earlier, keys.get("train", earlier))}
    write_atomic(folder / NAME, save(content))


def recorded(folder: Path) -> Keys:
    """The keys that ``record`` kept; none for a run without them, or where they are damaged."""
    try:
        kept = load((folder / NAME).read_bytes())
    except (OSError, SafetensorError):
        return {}
    return {name: keys for name, keys in kept.items() if keys.dtype == np.int64 and keys.ndim == 1}


def changes(before: Keys, now: Keys) -> list[str]:
    """The differences of each split's images. Raises RunError where one that was trained on would now
    choose the epoch: its validation would not be one."""
    leaked = len(np.intersect1d(before.get(TRAINED, []), now.get("validation", [])))
    if leaked:
        raise RunError(
            f"{leaked} of the {len(now['validation'])} validation images have been trained on: the image"
            " folder is not as it was, and the split has moved; put the images back, or start a new run"
        )
    return [told for split in before.keys() & now.keys() for told in _difference(split, before, now)]


def _difference(split: str, before: Keys, now: Keys) -> Iterator[str]:
    gone = len(np.setdiff1d(before[split], now[split]))
    new = len(np.setdiff1d(now[split], before[split]))
    if gone or new:
        yield f"{split} images: {gone:,} gone, {new:,} new, {len(now[split]):,} now"
