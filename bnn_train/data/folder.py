"""The listing of an image folder, train/<class>/ and val/<class>/, and what is refused. No torch."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.config.schema import Data
from bnn_train.data.catalog import DATASETS
from bnn_train.data.randomness import Ids
from bnn_train.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""torchvision's ``IMG_EXTENSIONS``."""
FOLDERS = {"train": "train", "test": "val"}
_SPLIT_NAMES = {"train", "val", "test", "valid", "validation"}


@dataclass(frozen=True)
class Listing:
    """The images of one part, by class and name. Arrays, so that worker processes share the memory."""

    root: Path
    classes: tuple[str, ...]
    paths: NDArray[Any]
    """Bytes, relative to ``root``."""
    labels: Ids
    fingerprint: str
    """SHA-256 over the relative paths."""

    def path(self, index: int) -> Path:
        """The file of one image."""
        return self.root / os.fsdecode(self.paths[index])


def list_images(config: Data, part: str) -> Listing:
    """The images of ``train`` or ``test`` (the folder val/)."""
    root = _part_root(Path(config.root).absolute(), FOLDERS[part])
    classes = _class_names(root)
    paths, labels = [], []
    for label, name in enumerate(classes):
        files = _image_files(root / name, name)
        if not files:
            raise DataError(
                f"{root / name}: a class folder without an image ({', '.join(SUFFIXES)}); fill or remove it"
            )
        paths += files
        labels += [label] * len(files)
    _check_count(config, root, len(classes))
    digest = hashlib.sha256(b"\0".join(paths)).hexdigest()
    return Listing(root, classes, np.array(paths), np.array(labels, dtype=np.int64), digest)


def same_classes(train: Listing, test: Listing) -> None:
    """Classes are numbered by name in each folder, so one that is missing would shift all after it."""
    missing, extra = set(train.classes) - set(test.classes), set(test.classes) - set(train.classes)
    if missing or extra:
        lacks = f"lacks {_some(missing)}" if missing else ""
        has = f"has {_some(extra)}, unknown to {train.root}" if extra else ""
        raise DataError(
            f"{test.root} {' and '.join(filter(None, (lacks, has)))}; both folders must hold the same classes"
        )


def _part_root(root: Path, folder: str) -> Path:
    how = DATASETS["imagenet"].how_to_get
    if not root.is_dir():
        raise DataError(f"{root}: no such folder (data.root); {how}")
    part = root / folder
    if part.is_dir():
        return part
    if root.name in FOLDERS.values() and (root.parent / folder).is_dir():
        raise DataError(f"{root}: data.root is one level too low; set it to {root.parent}")
    inner = [path for path in _subfolders(root) if (root / path / folder).is_dir()]
    if inner:
        raise DataError(f"{root}: data.root is one level too high; set it to {root / inner[0]}")
    raise DataError(f"{part}: no such folder; {how}")


def _class_names(root: Path) -> tuple[str, ...]:
    names = _subfolders(root)
    if not names:
        flat = next((entry for entry in sorted(os.listdir(root)) if _is_image(entry)), None)
        if flat is None:
            raise DataError(f"{root}: no class folders; {DATASETS['imagenet'].how_to_get}")
        raise DataError(
            f"{root}: the images ({flat}, …) lie side by side; move each into the folder of its class,"
            f" {root.name}/<class>/ (ILSVRC2012's development kit lists those of its validation images)"
        )
    if set(names) <= _SPLIT_NAMES:
        raise DataError(f"{root} holds {_some(set(names))} instead of classes; set data.root to {root}")
    return tuple(names)


def _check_count(config: Data, root: Path, found: int) -> None:
    if config.num_classes not in (None, found):
        raise DataError(
            f"{root}: {found} class folders, but data.num_classes is {config.num_classes}; correct one"
        )


def _subfolders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror or error})") from error


def _image_files(folder: Path, name: str) -> list[bytes]:
    """Relative paths, sorted; hidden files and folders (``.ipynb_checkpoints``, ``._1.jpg``) left out."""
    found = []
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(inner for inner in folders if not inner.startswith("."))
        within = Path(name) / Path(top).relative_to(folder)
        found += [os.fsencode(within / file) for file in sorted(files) if _is_image(file)]
    return found


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def _some(names: set[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
