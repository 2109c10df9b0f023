"""Accuracies that were reached once, with a tolerance for each: a later run is held against them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bnn_train.files import write_atomic
from reproduction.plans import ROOT
from reproduction.publish import key_of

FILE = ROOT / "configs/expected.json"
SPREADS = 4.0
"""Deviations of a row's seeds that another machine's rounding may move its mean by; two seeds know little of
it, so that the least tolerance of a table stands beside it."""


def read(path: Path = FILE) -> dict[str, Any]:
    """By table, the command's settings and its rows."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def recorded(result: Mapping[str, Any], *, least: float, path: Path = FILE) -> None:
    """Write the means of a result as what is expected from now on. ``least``: points of tolerance for all."""
    known = read(path)
    rows = {row["row"]: _row(row, least) for row in result["rows"] if row["mean"] is not None}
    before = known.get(key_of(result), {"rows": {}})["rows"]
    known[key_of(result)] = {"rows": before | rows}
    write_atomic(path, json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def _row(row: Mapping[str, Any], least: float) -> dict[str, Any]:
    spread = SPREADS * (row["std"] or 0.0)
    return {
        "top1": round(row["mean"], 2),
        "std": None if row["std"] is None else round(row["std"], 2),
        "seeds": len(row["top1"]),
        "tolerance": round(max(least, spread), 2),
        "config": row["config"].removeprefix("configs/"),
    }


def deviations(result: Mapping[str, Any], path: Path = FILE) -> list[str]:
    """A sentence for each row whose mean is not what was expected, or of which nothing is known."""
    known = read(path).get(key_of(result), {"rows": {}})["rows"]
    found = []
    for row in result["rows"]:
        if row["mean"] is None:
            continue
        wanted = known.get(row["row"])
        if wanted is None:
            found.append(f"{row['row']}: {row['mean']:.2f} %, and nothing is expected; --record it")
        elif abs(row["mean"] - wanted["top1"]) > wanted["tolerance"]:
            bounds = f"{wanted['top1']:.2f} ± {wanted['tolerance']:.2f}"
            found.append(f"{row['row']}: {row['mean']:.2f} %, expected {bounds}")
    return found
