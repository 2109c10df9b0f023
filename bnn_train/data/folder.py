"""The listing of an image folder, train/<class>/ and val/<class>/, and its refusals. No torch."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.data.layout import SPLIT_NAMES, part_folder, unused
from bnn_train.data.randomness import Ids
from bnn_train.data.shards import Shards, fingerprint, is_sharded, open_shards
from bnn_train.data.walk import SUFFIXES, Census, census, entries, is_image
from bnn_train.errors import DataError, printable
from bnn_train.spec.data import Data
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.inputs import is_own


@dataclass(frozen=True)
class Listing:
    """The images of one part, by class and name. Arrays, so that worker processes share the memory."""

    root: Path
    classes: tuple[str, ...]
    """In Unicode's composed form, whichever the disk has."""
    paths: NDArray[Any]
    """Bytes, relative to ``root``."""
    labels: Ids
    fingerprint: str
    """SHA-256 over the relative paths."""
    notes: tuple[str, ...] = ()
    """Files that are there and not used, as sentences."""
    title: str = ""
    """Its name, where that is not its folder's."""
    shards: Shards | None = None
    """The tar files that hold the images, where they are no files of their own."""

    @property
    def called(self) -> str:
        """Its name in sentences and digests."""
        return self.title or f"{self.root.name}/"

    def path(self, index: int) -> Path:
        """The file of one image, or its place in a tar file."""
        return self.root / os.fsdecode(self.paths[index]) if self.shards is None else self.shards.name(index)


def by_position(config: Data) -> bool:
    """Whether a run of an earlier release has this config: its images keep their numbers and sides."""
    return config.validation.by == "position"


def list_images(config: Data, part: str) -> Listing:
    """The images of ``train`` or ``test`` (the folder val/, unless the config names another)."""
    return list_folder(config, part_folder(config, part), part)


def list_folder(config: Data, root: Path, part: str) -> Listing:
    """The images of the class folders in ``root``, or of the tar files there."""
    if is_sharded(root):
        return _sharded(config, root)
    old = by_position(config)
    folders, beside = _class_folders(root, old)
    paths, labels, left_out = [], [], Census()
    for label, folder in enumerate(folders.values()):
        found = census(root, folder, by_position=old)
        if not found.images:
            raise DataError(_empty(root / folder, found))
        paths += found.images
        labels += [label] * len(found.images)
        left_out.add(found)
    check_count(config, root, len(folders))
    if left_out.gone and config.on_error == "fail" and not old:
        raise DataError(_gone(root, left_out.gone))
    digest = hashlib.sha256(b"\0".join(paths)).hexdigest()
    notes = tuple(_notes(config, root, part, left_out, beside))
    return Listing(root, tuple(folders), np.array(paths), np.array(labels, dtype=np.int64), digest, notes)


def _sharded(config: Data, root: Path) -> Listing:
    shards, classes = open_shards(root)
    check_count(config, root, len(classes))
    paths, labels = shards.columns["paths"], shards.columns["labels"].astype(np.int64)
    note = f"{root.name}/: {len(labels):,} images in {len(shards.files):,} tar files ({shards.form.told()})"
    digest = fingerprint(paths.tolist(), shards.form)
    return Listing(root, classes, paths, labels, digest, (note,), shards=shards)


def subset(listing: Listing, positions: Ids, part: str) -> Listing:
    """Some images of a listing, as one of its own."""
    paths = listing.paths[positions]
    return replace(
        listing,
        paths=paths,
        labels=listing.labels[positions],
        shards=None if listing.shards is None else listing.shards.subset(positions),
        fingerprint=hashlib.sha256(b"\0".join(paths.tolist())).hexdigest(),
        notes=listing.notes if part == "train" else (),
        title=f"{listing.called} ({part})",
    )


def same_classes(train: Listing, test: Listing) -> None:
    """Raises DataError unless both folders hold the same classes: they are numbered by name in each, and one
    that is missing would shift all after it."""
    missing, extra = set(train.classes) - set(test.classes), set(test.classes) - set(train.classes)
    if missing or extra:
        lacks = f"lacks {_some(missing)}" if missing else ""
        has = f"has {_some(extra)}, unknown to {printable(train.root)}" if extra else ""
        raise DataError(
            f"{printable(test.root)} {' and '.join(filter(None, (lacks, has)))};"
            " both folders must hold the same classes"
        )


def _class_folders(root: Path, old: bool) -> tuple[dict[str, str], int]:
    """Class → its folder, in label order; and how many images lie beside the folders."""
    found = entries(root)
    names = [name for name, kind in found if kind in ("folder", "linked folder")]
    gone = [os.fsencode(name) for name, kind in found if kind == "gone"]
    if gone and not old:
        raise DataError(_gone(root, gone))
    flat = [name for name, kind in found if kind == "file" and is_image(name)]
    if not names:
        raise DataError(_no_classes(root, flat))
    if set(names) <= SPLIT_NAMES:
        raise DataError(
            f"{printable(root)} holds {_some(set(names))} instead of classes;"
            f" set data.root to {printable(root)}"
        )
    return _by_class(root, names, old), len(flat)


def _by_class(root: Path, names: list[str], old: bool) -> dict[str, str]:
    folders: dict[str, str] = {}
    for folder in names:
        try:
            folder.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"{printable(root / folder)}: the class's name is not UTF-8; rename the folder"
            ) from None
        name = folder if old else unicodedata.normalize("NFC", folder)
        if name in folders:
            raise DataError(
                f"{printable(root)} holds two folders named {printable(name)}, in two Unicode forms;"
                " make them one"
            )
        folders[name] = folder
    return {name: folders[name] for name in sorted(folders)}


def _no_classes(root: Path, flat: list[str]) -> str:
    if not flat:
        return f"{printable(root)}: no class folders; {DATASETS['imagenet'].how_to_get}"
    return (
        f"{printable(root)}: the images ({printable(flat[0])}, …) lie side by side; move each into the folder"
        f" of its class, {printable(root.name)}/<class>/ (ILSVRC2012's development kit lists those of its"
        " validation images)"
    )


def _empty(folder: Path, found: Census) -> str:
    instead = found.left_out()
    holds = f", but with {instead}" if instead else ""
    endings = ", ".join(SUFFIXES)
    return f"{printable(folder)}: a class folder without an image ({endings}){holds}; fill or remove it"


def _gone(root: Path, links: list[bytes]) -> str:
    first = printable(root / os.fsdecode(links[0]))
    more = f", and {len(links) - 1:,} more" if len(links) > 1 else ""
    return f"{first}: a link that leads nowhere{more}; mend or remove it, or mount the disk it leads to"


def _notes(config: Data, root: Path, part: str, left_out: Census, beside: int) -> Iterator[str]:
    if beside:
        images = "1 image lies" if beside == 1 else f"{beside:,} images lie"
        yield f"{root.name}/: {images} beside the class folders, in no class, and left out"
    told = left_out.left_out()
    if told:
        yield f"{root.name}/: left out {told}"
    if part == "test" and not is_own(config):
        others = ", ".join(f"{name}/" for name in unused(config, root))
        if others:
            yield f"{root.name}/ is the test set; {others} beside it is not used (data.test_folder chooses)"
        elif config.test_folder is None and root.name not in ("val", "test"):
            yield f"{root.name}/ is the test set (data.test_folder chooses another)"


def check_count(config: Data, root: Path, found: int) -> None:
    """Raises DataError where the config expects another number of classes."""
    if config.num_classes not in (None, found):
        raise DataError(
            f"{printable(root)}: {found} classes, but data.num_classes is {config.num_classes}; correct one"
        )


def _some(names: set[str]) -> str:
    listed = [printable(name) for name in sorted(names)]
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
