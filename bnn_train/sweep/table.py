"""One table of a sweep: runs that differ in their seed alone are one row, with mean and deviation."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bnn_train.aligned import aligned
from bnn_train.report.markdown import table as markdown
from bnn_train.sweep.grid import SEED, Plan, Planned


@dataclass(frozen=True)
class Row:
    """The finished runs of one combination."""

    values: Mapping[str, Any]
    """By the key of the grid, the seed left out."""
    top1: tuple[float, ...]
    """In percent, one a seed."""
    validation: tuple[float, ...]
    """Of the chosen epoch, where there are validation images."""
    bytes: int | None
    """Of the packed network."""
    seconds: float
    """Of training, on average."""
    planned: int
    """Runs that the grid has of it."""

    @property
    def mean(self) -> float:
        """Of the top-1."""
        return statistics.fmean(self.top1)

    @property
    def deviation(self) -> float | None:
        """Of the sample; None of fewer than two runs."""
        return statistics.stdev(self.top1) if len(self.top1) > 1 else None


def rows(plan: Plan) -> list[Row]:
    """A row for each combination, the best mean first; those without a finished run last."""
    groups: dict[str, list[Planned]] = {}
    for run in plan.runs:
        groups.setdefault(json.dumps(_without_seed(run.values), sort_keys=True), []).append(run)
    found = [_row(runs) for runs in groups.values()]
    return sorted(found, key=lambda row: -row.mean if row.top1 else float("inf"))


def _without_seed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != SEED}


def _row(runs: Sequence[Planned]) -> Row:
    reports = [report for report in map(_report, runs) if report is not None]
    chosen = [_chosen(report) for report in reports]
    return Row(
        values=_without_seed(runs[0].values),
        top1=tuple(float(report["top1"]) for report in reports),
        validation=tuple(value for value in chosen if value is not None),
        bytes=next((int(report["bytes"]) for report in reports), None),
        seconds=statistics.fmean([float(r["wall_time_s"]) for r in reports]) if reports else 0.0,
        planned=len(runs),
    )


def _chosen(report: Mapping[str, Any]) -> float | None:
    """The validation top-1 of the epoch that is reported."""
    entries = {entry.get("epoch"): entry for entry in report["history"]}
    value = entries.get(report["best_epoch"], {}).get("validation_top1")
    return None if value is None else float(value)


def _report(run: Planned) -> dict[str, Any] | None:
    try:
        report = json.loads((run.folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    needed = {"top1", "bytes", "wall_time_s", "history", "best_epoch"}
    return report if isinstance(report, dict) and report.keys() >= needed else None


def _keys(plan: Plan) -> list[str]:
    return [key for key in plan.keys if key != SEED]


def _cells(plan: Plan, row: Row) -> list[str]:
    values = [_shown(row.values[key]) for key in _keys(plan)]
    runs = f"{len(row.top1)}/{row.planned}"
    if not row.top1:
        return [*values, runs, "–", "–", "–", "–"]
    deviation = "" if row.deviation is None else f" ± {row.deviation:.2f}"
    validation = f"{statistics.fmean(row.validation):.2f}" if row.validation else "–"
    return [*values, runs, f"{row.mean:.2f}{deviation}", validation, f"{row.bytes:,}", f"{row.seconds:,.0f}"]


_COLUMNS = ("runs", "top-1 %", "validation %", "bytes packed", "seconds")


def as_text(plan: Plan, found: Sequence[Row]) -> str:
    """For a terminal."""
    head = [*_keys(plan), *_COLUMNS]
    return "\n".join(aligned(head, [_cells(plan, row) for row in found], range(len(_keys(plan)))))


def as_markdown(plan: Plan, found: Sequence[Row]) -> str:
    """For a page."""
    note = "\n\ntop-1 on the test images: mean ± standard deviation of the sample over the runs of a row.\n"
    return markdown([*_keys(plan), *_COLUMNS], [_cells(plan, row) for row in found]) + note


def as_csv(plan: Plan, found: Sequence[Row]) -> str:
    """For a spreadsheet: numbers in full."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [
            *_keys(plan),
            "runs",
            "planned",
            "top1_mean",
            "top1_deviation",
            "top1_each",
            "validation_mean",
            "bytes",
            "seconds",
        ]
    )
    for row in found:
        mean = row.mean if row.top1 else ""
        validation = statistics.fmean(row.validation) if row.validation else ""
        each = " ".join(map(str, row.top1))
        values = [_shown(row.values[key]) for key in _keys(plan)]
        numbers = [len(row.top1), row.planned, mean, _or_empty(row.deviation), each, validation]
        writer.writerow([*values, *numbers, _or_empty(row.bytes), row.seconds if row.top1 else ""])
    return stream.getvalue()


def _or_empty(value: float | None) -> float | str:
    return "" if value is None else value


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
