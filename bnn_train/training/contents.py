"""The contents of a run folder, and whose they are: only what a run writes may ever be removed."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from bnn_train.errors import RunError
from bnn_train.files import TEMPORARY
from bnn_train.packed.recognise import is_packed
from bnn_train.report.metrics import EVENTS, METRICS
from bnn_train.report.mistakes import MISTAKES
from bnn_train.report.predictions import PREDICTIONS
from bnn_train.report.trackers import CSV, IDS
from bnn_train.training import images, parity_images
from bnn_train.training.checkpoint import BEST, LAST, PREVIOUS, saved
from bnn_train.training.console import LOG

CHECKPOINTS, CONFIG, MANIFEST, LOCK = "checkpoints", "config.yaml", "manifest.json", ".lock"
REPORTS = ("report.md", "report.json", "report.html")

# Every name that a run writes, by the folder it is in.
OWN = {
    "": (
        CONFIG,
        MANIFEST,
        METRICS,
        LOG,
        PREDICTIONS,
        MISTAKES,
        CSV,
        IDS,
        parity_images.NAME,
        parity_images.FORMER_NAME,
        images.NAME,
        *REPORTS,
    ),
    CHECKPOINTS: (BEST, PREVIOUS, LAST),
    EVENTS: (),
}
_EVENT_FILE = re.compile(r"events\.out\.tfevents\.[^/]+")


@dataclass(frozen=True)
class Contents:
    """The entries of a run folder, a level deep into the folders that a run makes."""

    own: list[Path] = field(default_factory=list)
    """Files that a run wrote, in the order of removal: reports first, then what stands for the run itself."""
    temporary: list[Path] = field(default_factory=list)
    """Those among them that a killed process left half-written."""
    folders: list[Path] = field(default_factory=list)
    """Folders that a run made."""
    packed: list[Path] = field(default_factory=list)
    """Networks that bnn-export packed; they are never removed."""
    foreign: list[str] = field(default_factory=list)
    """Everything else, named as a person would look for it."""
    began: bool = False
    """Whether a run has begun here; if not, files of the same names are somebody else's."""

    @property
    def checkpoints(self) -> list[Path]:
        """The checkpoints, damaged ones too."""
        return [path for path in self.own if path.name in OWN[CHECKPOINTS]]

    @property
    def reports(self) -> list[Path]:
        """The report's files."""
        return [path for path in self.own if path.name in REPORTS]


def survey(path: Path) -> Contents:
    """Look at a folder; of one that is not there, nothing. Raises RunError where it cannot be read."""
    contents = Contents(began=_has_begun(path))
    if path.is_dir():
        _look(path, "", contents)
    contents.own.sort(key=lambda file: (file.name not in REPORTS, file.parent.name == CHECKPOINTS, str(file)))
    if contents.began:
        return contents
    named = [str(file.relative_to(path)) for file in (*contents.own, *contents.packed)]
    return Contents(foreign=[*contents.foreign, *named])


def is_run(path: Path) -> bool:
    """Whether there is anything to go on with: a checkpoint, or a run that ended before its first."""
    return saved(path / CHECKPOINTS) or _has_begun(path)


def _has_begun(path: Path) -> bool:
    """By what a run makes first, or by the manifest that goes along with a copy of it."""
    try:
        if (path / LOCK).is_file() and (path / CHECKPOINTS).is_dir():
            return True
        if not (path / MANIFEST).is_file():
            return False
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return False
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    return isinstance(manifest, dict) and "starts" in manifest


def _look(root: Path, within: str, contents: Contents) -> None:
    here = root / within
    try:
        entries = sorted(os.scandir(here), key=lambda entry: entry.name)
    except OSError as error:
        raise RunError(f"{here}: cannot be read: {error.strerror}") from None
    for entry in entries:
        name = entry.name if entry.name.isprintable() else ascii(entry.name)
        shown = f"{within}/{name}" if within else name
        if entry.name in OWN and not within and entry.is_dir(follow_symlinks=False):
            contents.folders.append(here / entry.name)
            _look(root, entry.name, contents)
        elif within or entry.name != LOCK or not entry.is_file(follow_symlinks=False):
            _sort(entry, shown, within, contents)


def _sort(entry: os.DirEntry[str], shown: str, within: str, contents: Contents) -> None:
    path = Path(entry.path)
    temporary = TEMPORARY.fullmatch(entry.name)
    if not entry.is_file(follow_symlinks=False):
        contents.foreign.append(f"{shown}{_kind(entry)}")
    elif temporary and _is_own(temporary["name"], within):
        contents.own.append(path)
        contents.temporary.append(path)
    elif _is_own(entry.name, within):
        if _is_removable(entry):
            contents.own.append(path)
        else:
            contents.foreign.append(f"{shown}, write-protected")
    elif not within and path.suffix == ".bnn" and is_packed(path):
        contents.packed.append(path)
    else:
        contents.foreign.append(shown)


def _is_removable(entry: os.DirEntry[str]) -> bool:
    """Whether the file may be written and its folder changed; for root, too, since who takes the right to
    write from a file means to keep it."""
    mode = entry.stat(follow_symlinks=False).st_mode
    effective = os.access in os.supports_effective_ids
    may = os.access(Path(entry.path).parent, os.W_OK | os.X_OK, effective_ids=effective)
    return may and bool(mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))


def _is_own(name: str, within: str) -> bool:
    return name in OWN[within] or (within == EVENTS and _EVENT_FILE.fullmatch(name) is not None)


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return ", a link"
    return "/" if entry.is_dir(follow_symlinks=False) else ", a device or pipe"
