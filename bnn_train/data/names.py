"""The validation split of an image folder, drawn by names: an image that comes or goes moves no other."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bnn_train.data.folder import Listing
from bnn_train.data.randomness import Ids
from bnn_train.data.splits import quotas
from bnn_train.errors import DataError, printable
from bnn_train.spec.data import Data
from bnn_train.spec.found import Drawn
from bnn_train.spec.inputs import validation_share, validation_size

Purpose = Literal["validation", "test"]
Keys = NDArray[Any]
"""Hex digits, as bytes; compared as text. Under ``last`` a name's own, else 64 bits of its SHA-256."""
Take = Literal["last", "random", "balanced", "each"]


def draw(config: Data, listing: Listing, seed: int) -> Drawn:
    """The rule of a new run: as many images as it asks for, those with the smallest keys (``last``: the
    greatest), of all or equally of each class."""
    share = validation_share(config)
    if share is not None and config.validation.take == "auto":
        return draw_each(listing, share, seed)
    size, take = validation_size(config), _take(config)
    if share is not None:
        size = max(1, round(share * len(listing.labels)))
    if size >= len(listing.labels):
        raise DataError(
            f"data.validation.size: {size} images to hold out of {len(listing.labels)} for training; hold out"
            " fewer"
        )
    names = _names(listing)
    keys = _keys(names, take, seed)
    groups = _groups(listing, take)
    sizes = quotas(listing.labels, size) if take == "balanced" else [size]
    if take == "last":
        sizes = [len(listing.labels) - size]
    cut = " ".join(_cut(np.sort(keys[group]), n) for group, n in zip(groups, sizes, strict=True))
    return Drawn(size=size, take=take, seed=seed, cut=cut, images=len(names), names=_digest(names))


def draw_each(listing: Listing, share: float, seed: int, purpose: Purpose = "validation") -> Drawn:
    """The rule that takes a part of each class: at least one image, and never all."""
    names = _names(listing)
    keys = _keys(names, "each", seed, purpose)
    groups = _groups(listing, "each")
    sizes = [min(max(1, round(share * len(group))), max(0, len(group) - 1)) for group in groups]
    cut = " ".join(_cut(np.sort(keys[group]), n) for group, n in zip(groups, sizes, strict=True))
    return Drawn(size=sum(sizes), take="each", seed=seed, cut=cut, images=len(names), names=_digest(names))


def held_out(listing: Listing, drawn: Drawn, purpose: Purpose = "validation") -> tuple[Ids, Ids, str | None]:
    """(train, held out) positions in the listing, both ascending, and what has changed since it was drawn."""
    names = _names(listing)
    keys, cuts = _keys(names, drawn.take, drawn.seed, purpose), drawn.cut.split(" ")
    groups = _groups(listing, drawn.take)
    if len(cuts) != len(groups):
        raise DataError(
            f"data.validation.drawn: drawn in a folder of {len(cuts)} classes, and {printable(listing.root)}"
            f" has {len(groups)}; remove it to draw anew"
        )
    mask = np.zeros(len(keys), dtype=bool)
    for group, cut in zip(groups, cuts, strict=True):
        mask[group] = (keys[group] < cut.encode()) != (drawn.take == "last")
    train, held = np.flatnonzero(~mask), np.flatnonzero(mask)
    if not len(train) or (drawn.size and not len(held)):
        side = purpose if len(train) else "training"
        raise DataError(
            f"{printable(listing.root)} holds none of the {side} images that the run began with; restore the"
            " folder, or start a new run"
        )
    return train, held, _changed(listing, names, held, drawn, purpose)


def _changed(listing: Listing, names: list[bytes], held: Ids, drawn: Drawn, purpose: Purpose) -> str | None:
    if _digest(names) == drawn.names:
        return None
    return (
        f"{listing.called} holds other images than when the run began: {len(names):,}"
        f" ({drawn.images:,} then), {len(held):,} of them for {purpose} ({drawn.size:,} then); by its name,"
        " each is on the side where it was"
    )


def _take(config: Data) -> Take:
    return "random" if config.validation.take == "auto" else config.validation.take


def _names(listing: Listing) -> list[bytes]:
    """The relative paths in Unicode's composed form, so that a folder copied between systems stays itself."""
    return [path if path.isascii() else _composed(path) for path in listing.paths.tolist()]


def _composed(path: bytes) -> bytes:
    return os.fsencode(unicodedata.normalize("NFC", os.fsdecode(path)))


def _digest(names: Iterable[bytes]) -> str:
    return hashlib.sha256(b"\0".join(sorted(names))).hexdigest()


def _keys(names: list[bytes], take: Take, seed: int, purpose: Purpose = "validation") -> Keys:
    if take == "last":
        return np.array([name.hex().encode() for name in names])
    start = hashlib.sha256(f"{purpose}\0{seed}\0".encode())
    keys = []
    for name in names:
        digest = start.copy()
        digest.update(name)
        keys.append(digest.hexdigest()[:16].encode())
    return np.array(keys)


def _groups(listing: Listing, take: Take) -> list[Ids]:
    """Positions that have a cut of their own: those of a class, or all."""
    if take not in ("balanced", "each"):
        return [np.arange(len(listing.labels), dtype=np.int64)]
    return [np.flatnonzero(listing.labels == label) for label in range(len(listing.classes))]


def _cut(keys: Keys, below: int) -> str:
    """The shortest text that is greater than the first ``below`` of the sorted keys and no other."""
    if below == 0:
        return "0"
    if below == len(keys):
        return "g"
    low, high = bytes(keys[below - 1]).decode(), bytes(keys[below]).decode()
    return next((high[:n] for n in range(1, len(high)) if high[:n] > low), high)
