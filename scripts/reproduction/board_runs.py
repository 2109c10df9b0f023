"""The board's runs, kept in a file beside its page: what one machine and night ran, the next one adds to."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bnn_train.config.schema import Experiment
from bnn_train.errors import RunError
from bnn_train.files import write_atomic

COPIED = ("epochs", "seconds", "curve", "selection")
"""Of a row of results.json, beside its runs."""


def budget(base: Experiment) -> dict[str, Any]:
    """The network, data and schedule that all rows have in common; runs of others do not compare."""
    return {
        "model": base.model.model_dump(mode="json"),
        "train_images": base.data.train_limit,
        "batch_size": base.data.batch_size,
        "epochs": base.training.epochs,
        "optimizer": base.optimizer.model_dump(mode="json", exclude_defaults=True)
        | {"lr": base.optimizer.lr},
        "schedule": base.schedule.name,
    }


def joined(result: Mapping[str, Any], base: Experiment, path: Path) -> dict[str, Any]:
    """A result of the board with the runs that only the file knows; a run of both is the result's.

    Raises RunError for a file of another budget, or one that cannot be read.
    """
    known = _read(path, budget(base))
    return {**result, "rows": [_joined(row, known.get(row["row"])) for row in result["rows"]]}


def kept(result: Mapping[str, Any], base: Experiment, path: Path) -> None:
    """Write a joined result's runs to the file."""
    rows = {
        row["row"]: {"top1": row["top1"], "runs": row["runs"], **{key: row[key] for key in COPIED}}
        for row in result["rows"]
        if row["top1"]
    }
    text = json.dumps({"budget": budget(base), "rows": rows}, indent=1, ensure_ascii=False)
    write_atomic(path, text + "\n")


def _read(path: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        found, rows = known["budget"], dict(known["rows"])
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{path}: is no file of runs; restore it from the revision before") from None
    if found != wanted:
        raise RunError(
            f"{path}: holds runs of another budget ({found}, now {wanted}); remove it to begin anew"
        )
    return rows


def _joined(row: Mapping[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
    if known is None:
        return dict(row)
    own = set(row["top1"])
    top1 = {**known["top1"], **row["top1"]}
    scores = list(top1.values())
    others = [run for run in known["runs"] if str(run["seed"]) not in own]
    return {
        **row,
        "top1": dict(sorted(top1.items(), key=lambda one: int(one[0]))),
        "mean": statistics.fmean(scores),
        "std": statistics.stdev(scores) if len(scores) > 1 else None,
        "seconds": _seconds(row, known),
        "curve": row["curve"] if "1" in own or not known["curve"] else known["curve"],
        "selection": sorted({*row["selection"], *known["selection"]}),
        "runs": sorted([*row["runs"], *others], key=lambda run: int(run["seed"])),
    }


def _seconds(row: Mapping[str, Any], known: Mapping[str, Any]) -> float:
    """The training time of both; the file's alone where it has the result's runs already, and others."""
    own, before = set(row["top1"]), set(known["top1"])
    if not before - own:
        return float(row["seconds"])
    return float(known["seconds"]) + (float(row["seconds"]) if own - before else 0.0)
