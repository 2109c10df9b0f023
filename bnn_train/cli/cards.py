"""The model card that ``bnn-export --card`` writes beside a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bnn_train.errors import ExportError
from bnn_train.export.card import MARK, Subject, card
from bnn_train.export.targets.target import Content, Target
from bnn_train.files import write_atomic
from bnn_train.packed import container, layout

NAME = "README.md"
_NEEDED = {"top1", "top1_interval", "top5", "correct", "top5_correct", "total", "selection_rule"}


def check(out: Path, target: Target) -> Path:
    """Where the card will lie. Raises ExportError where something else would be lost."""
    if target.is_folder:
        raise ExportError(f"--card describes a file, and {target.name} is a folder; leave it out")
    path = out.with_name(NAME)
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        raise ExportError(
            f"{path}: is there already and is no card of bnn-export; move it away, or name --out in another"
            " folder"
        )
    return path


def write(out: Path, target: Target, content: Content, licence: str, run: Path | None, parity: str) -> Path:
    """The card of a written file. ``run``: its folder, where there is one."""
    tensors = dict(content.tensors)
    packed = container.pack(content.header, tensors)
    subject = Subject(
        name=out.name,
        content=out.read_bytes(),
        header=content.header,
        tensors=tensors,
        digest=_digest(packed),
        format=target.name,
        licence=licence,
        report={} if run is None else _report(run),
        parity=parity,
    )
    path = out.with_name(NAME)
    write_atomic(path, card(subject))
    return path


def _digest(packed: bytes) -> str:
    """The one digest over all that a packed file holds."""
    length = int.from_bytes(packed[: layout.PREFIX], "little")
    table = json.loads(packed[layout.PREFIX : layout.PREFIX + length])
    return str(table[layout.METADATA]["digest"])


def _report(run: Path) -> dict[str, Any]:
    """A run's report of its test images; empty where there is none."""
    try:
        found = json.loads((run / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and set(found) >= _NEEDED else {}
