"""Predictions as a table for people, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from bnn_train.aligned import aligned
from bnn_train.errors import BnnError, printable
from bnn_train.prediction import Prediction


def format_of(wanted: str | None, out: Path | None) -> str:
    """The format's name: the one that was asked for, or the ending's. Raises BnnError for a wrong pair."""
    ending = None if out is None else {".json": "json", ".csv": "csv"}.get(out.suffix.lower())
    if wanted is not None and ending is not None and wanted != ending:
        raise BnnError(f"{out}: --format {wanted} does not go with this ending; change one of them")
    return wanted or ending or "table"


def _table(found: Sequence[Prediction]) -> str:
    columns = max(1, *(len(p.labels) for p in found))
    head = ["image", *(cell for i in range(columns) for cell in (f"{i + 1}.", "%"))]
    rows = [[printable(p.path), *_cells(p, columns)] for p in found]
    left = {0, *range(1, len(head), 2)}
    return "".join(f"{line}\n" for line in aligned(head, rows, left))


def _cells(p: Prediction, columns: int) -> list[str]:
    told = [cell for name, share in _pairs(p) for cell in (printable(name), f"{100 * share:.1f}")]
    told = told or ["unreadable"]
    return told + [""] * (2 * columns - len(told))


def _pairs(p: Prediction) -> list[tuple[str, float]]:
    return list(zip(p.labels, p.shares, strict=True))


def _csv(found: Sequence[Prediction]) -> str:
    """One line an image; further classes in columns of their own."""
    columns = max(1, *(len(p.labels) for p in found))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    numbered = [(f"label_{i + 1}", f"share_{i + 1}") for i in range(columns)]
    writer.writerow(["path", *(name for pair in numbered for name in pair), "error"])
    for p in found:
        pairs = [cell for name, share in _pairs(p) for cell in (name, f"{share:.6f}")]
        writer.writerow([printable(p.path), *pairs, *[""] * (2 * columns - len(pairs)), p.error or ""])
    return stream.getvalue()


def _json(found: Sequence[Prediction]) -> str:
    listed = [
        {
            "path": printable(p.path),
            "top": [
                {"label": label, "share": share, "logit": logit}
                for label, share, logit in zip(p.labels, p.shares, p.logits, strict=True)
            ],
            **({"error": p.error} if p.error else {}),
        }
        for p in found
    ]
    return json.dumps(listed, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Sequence[Prediction]], str]] = {"table": _table, "csv": _csv, "json": _json}
