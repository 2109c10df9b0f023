"""Folders that an export fills: only files that an export wrote are ever replaced.

``export.json`` in the folder lists them with their SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bnn_train.errors import ExportError
from bnn_train.files import write_atomic

MANIFEST = "export.json"
_LIMIT = 2**20


def manifest(folder: Path) -> dict[str, Any] | None:
    """A folder's list, or None where there is none; never raises."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            found = json.loads(file.read(_LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
    good = isinstance(found, dict) and isinstance(found.get("format"), str) and _is_list(found.get("files"))
    return found if good else None


def check(folder: Path, format_name: str) -> None:
    """Raises ExportError unless the folder may be made, is empty, or holds an unchanged export of this
    format (and whatever else lies beside it)."""
    if not os.path.lexists(folder):
        place = folder.absolute().parent
        if not place.is_dir():
            raise ExportError(
                f"{folder}: cannot be written: the folder {place} does not exist; make it first"
            )
        return
    if not folder.is_dir():
        raise ExportError(f"{folder}: {format_name} is a folder, and this is a file; name another place")
    if not any(folder.iterdir()):
        return
    found = manifest(folder)
    if found is None or found["format"] != format_name:
        other = "files that no export wrote" if found is None else f"an export as {found['format']}"
        raise ExportError(f"{folder}: holds {other}; name a new or an empty folder")
    for name, digest in found["files"].items():
        if (folder / name).exists() and _digest((folder / name).read_bytes()) != digest:
            raise ExportError(f"{folder / name}: was changed since it was exported; move it away first")


def fill(folder: Path, format_name: str, files: Mapping[str, str | bytes]) -> None:
    """Write ``files`` (by their path in the folder) and the list of them; those of an earlier export that
    are no more are removed. Raises ExportError, nothing written, where ``check`` does or a file of another
    origin is in the way."""
    check(folder, format_name)
    raw = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    before = (manifest(folder) or {"files": {}})["files"]
    for name in raw:
        if name not in before and os.path.lexists(folder / name):
            raise ExportError(f"{folder / name}: is in the way, and no export wrote it; move it away first")
    folder.mkdir(exist_ok=True)
    digests = {name: _digest(content) for name, content in raw.items()}
    _write_list(folder, format_name, {**before, **digests})  # first: what an interruption leaves is known
    for name, content in raw.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / name, content)
    for name in set(before) - set(raw):
        (folder / name).unlink(missing_ok=True)
    _write_list(folder, format_name, digests)


def _write_list(folder: Path, format_name: str, digests: Mapping[str, str]) -> None:
    content = {"format": format_name, "files": dict(sorted(digests.items()))}
    write_atomic(folder / MANIFEST, json.dumps(content, indent=1) + "\n")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_list(files: Any) -> bool:
    """Whether the names are of files in the folder and nowhere else."""
    if not isinstance(files, dict):
        return False
    return all(isinstance(d, str) and _is_inside(name) for name, d in files.items())


def _is_inside(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts and name not in ("", ".", MANIFEST)
