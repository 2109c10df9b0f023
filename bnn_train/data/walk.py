"""The files below a folder: the images, and the others with the reason. Links are followed, loops end."""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bnn_train.errors import DataError, printable

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""torchvision's ``IMG_EXTENSIONS``."""
Kind = Literal["folder", "linked folder", "file", "odd", "gone"]
"""``odd``: a pipe, socket or device; ``gone``: a link that leads nowhere, or in a circle."""


@dataclass
class Census:
    """The files below a folder, sorted into images and others. Hidden ones (``.ipynb_checkpoints``,
    ``._1.jpg``) do not count."""

    images: list[bytes] = field(default_factory=list)
    """Relative paths: of each folder its own files by name, then its folders by name."""
    gone: list[bytes] = field(default_factory=list)
    """Links that lead nowhere; those with the ending of an image are among the images, too."""
    others: Counter[str] = field(default_factory=Counter)
    """Files by ending, which is none of an image."""
    odd: int = 0
    """Pipes, sockets and devices with the ending of an image."""
    repeated: int = 0
    """Folders that links lead to a second time, or that the class's own stands in."""

    def add(self, other: Census) -> None:
        """Take in what was found elsewhere, but for the images."""
        self.gone += other.gone
        self.others += other.others
        self.odd += other.odd
        self.repeated += other.repeated

    def left_out(self) -> str:
        """The files that are no images, and why, as the part of a sentence; empty if there are none."""
        count = self.others.total()
        endings = ", ".join(f"{printable(ending)} {n:,}" for ending, n in self.others.most_common(4))
        more = ", …" if len(self.others) > 4 else ""
        told = [
            f"{_files(count)} whose ending is not that of an image ({endings}{more})" if count else "",
            f"{self.odd:,} pipes, sockets or devices" if self.odd else "",
            f"{self.repeated:,} folders that a link leads to once more" if self.repeated else "",
        ]
        return " and ".join(filter(None, told))


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def census(root: Path, name: str, *, by_position: bool = False) -> Census:
    """The files of ``root/name`` and of the folders in it; paths are relative to ``root``.

    Each folder once, under its own name rather than a link's, so that another link renames nothing.
    ``by_position``: as earlier releases listed them, who did not follow links to folders, so that every image
    keeps its number. Raises DataError for a folder that cannot be listed.
    """
    found, folders, links = Census(), [name], list[str]()
    around = {*(root / name).parents, *(root / name).resolve().parents}
    seen = set() if by_position else {_identity(folder) for folder in around}
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        if not _is_new(root / folder, seen, found):
            continue
        inner = []
        for entry, kind in entries(root / folder):
            path = f"{folder}/{entry}"
            if kind == "folder":
                inner.append(path)
            elif kind == "linked folder":
                links += [] if by_position else [path]
            else:
                _count(found, path, kind, by_position)
        folders += reversed(inner)
    return found


def _is_new(folder: Path, seen: set[tuple[int, int]], found: Census) -> bool:
    identity = _identity(folder)
    found.repeated += identity in seen
    new = identity not in seen
    seen.add(identity)
    return new


def _count(found: Census, path: str, kind: Kind, by_position: bool) -> None:
    if kind == "gone":
        found.gone.append(os.fsencode(path))
    if is_image(path):
        if kind == "odd" and not by_position:
            found.odd += 1
        else:
            found.images.append(os.fsencode(path))
    elif kind == "file":
        found.others[os.path.splitext(path)[1].lower() or "no ending"] += 1


def is_image(name: str) -> bool:
    """Whether a file's name is that of an image."""
    return name.lower().endswith(SUFFIXES)


def entries(folder: Path) -> list[tuple[str, Kind]]:
    """Names and kinds in a folder, by name, hidden ones left out. Raises DataError."""
    try:
        with os.scandir(folder) as found:
            return sorted((e.name, _kind(e)) for e in found if not e.name.startswith("."))
    except OSError as error:
        raise DataError(f"{printable(folder)}: cannot be listed ({error.strerror or error})") from error


def _kind(entry: os.DirEntry[str]) -> Kind:
    """The kind of an entry; of a link, that of its end. Nothing is opened, and only links are looked up."""
    if not entry.is_symlink():
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        return "file" if entry.is_file(follow_symlinks=False) else "odd"
    try:
        mode = os.stat(entry.path).st_mode
    except OSError:
        return "gone"
    if stat.S_ISDIR(mode):
        return "linked folder"
    return "file" if stat.S_ISREG(mode) else "odd"


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = os.stat(folder)
    except OSError as error:
        raise DataError(f"{printable(folder)}: cannot be listed ({error.strerror or error})") from error
    return status.st_dev, status.st_ino
