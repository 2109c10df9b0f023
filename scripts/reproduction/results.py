"""From runs to a table: means, differences to the published numbers, verdicts."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bnn_train.report.markdown import table as markdown_table
from bnn_train.spec.datasets import DATASETS
from reproduction.curves import curve_of, curves
from reproduction.outcomes import Outcome
from reproduction.plans import ROOT, Options, Plan
from reproduction.provenance import made, setting
from reproduction.tables import Table

Outcomes = Mapping[int, Outcome]
"""By seed."""


def row_result(plan: Plan, found: Outcomes, failed: Mapping[int, str] | None = None) -> dict[str, Any]:
    """The results of a row as JSON values. ``failed``: by seed, why a run has no result."""
    scores = [outcome.top1 for outcome in found.values()]
    reference = plan.published.reference
    published = plan.row.top1 if plan.row.overrides else reference.top1
    mean = statistics.fmean(scores) if scores else None
    sources = (plan.row.source,) if plan.row.overrides else (reference.paper, reference.table)
    first, partial = next(iter(found.values()), None), _partial(plan, found)
    result: dict[str, Any] = {
        "row": plan.row.name,
        "config": str(plan.path.relative_to(ROOT)),
        "epochs": plan.experiment(1).training.epochs,
        "epochs_published": plan.published.training.epochs,
        "cut": plan.cut,
        "top1": {str(seed): outcome.top1 for seed, outcome in found.items()},
        "failed": {str(seed): sentence for seed, sentence in (failed or {}).items()},
        "mean": mean,
        "std": statistics.stdev(scores) if len(scores) > 1 else None,
        "published": published,
        "band": None if published is None else reference.band,
        "difference": None if mean is None or published is None or partial else mean - published,
        "source": "" if published is None else ", ".join(part for part in sources if part),
        "remark": plan.row.remark,
        "seconds": sum(outcome.wall_time_s for outcome in found.values()),
        "curve": curve_of([] if first is None else first.history),
        "selection": sorted({outcome.selection for outcome in found.values()}),
        "runs": [made(seed, outcome) for seed, outcome in found.items()],
        "command": plan.command,
    }
    return result | {"verdict": verdict(result, plan.foreign, partial)}


def _partial(plan: Plan, found: Outcomes) -> str:
    """The part of the test data that was there, or nothing: a sample is recognised as one."""
    known = DATASETS[plan.published.data.name]
    for outcome in found.values():
        if outcome.total != known.test:
            return f"{outcome.total:,} of {known.test:,} test images"
        if len(outcome.classes) != known.num_classes:
            return f"{len(outcome.classes):,} of {known.num_classes:,} classes"
    return ""


def verdict(result: Mapping[str, Any], foreign: Sequence[str] = (), partial: str = "") -> str:
    """The verdict on a row: nothing about one that was changed or cut short, or of other data."""
    if result["mean"] is None:
        return "failed: " + next(iter(result["failed"].values())) if result["failed"] else "not run"
    if result["epochs"] != result["epochs_published"]:
        return f"not comparable: {result['epochs']} of {result['epochs_published']} epochs"
    if foreign or partial:
        return f"not comparable: {', '.join([*foreign, partial] if partial else foreign)}"
    if result["published"] is None:
        return "no published number"
    if result["band"] is None:
        return "not comparable: the published number is of another protocol"
    if round(abs(result["difference"]), 6) <= result["band"]:
        return "inside the band"
    return f"outside the band, {'above' if result['difference'] > 0 else 'below'} it"


def table_result(table: Table, rows: Sequence[dict[str, Any]], options: Options) -> dict[str, Any]:
    """Everything that results.json holds."""
    return {
        "table": table.name,
        "title": table.title,
        "fast": options.fast if any(row["cut"] for row in rows) else None,
        "set": list(options.sets),
        "rows": list(rows),
    }


HEAD = ("row", "published %", "band", "here %", "seeds", "difference", "epochs", "min a run", "verdict")


def markdown(result: Mapping[str, Any]) -> str:
    """The section of a table, without a heading of its own level above ``##``."""
    rows = result["rows"]
    commands = [row["command"] for row in rows if row["top1"]]
    parts = [
        f"## {result['title']}",
        setting(result),
        markdown_table(HEAD, [_cells(row) for row in rows]),
        *curves(rows),
        *_remarks(rows),
        *(["```\n" + "\n".join(commands) + "\n```"] if commands else []),
    ]
    return "\n\n".join(parts) + "\n"


def _cells(row: Mapping[str, Any]) -> list[str]:
    spread = "" if row["std"] is None else f" ± {row['std']:.2f}"
    return [
        f"`{row['row']}`",
        _number(row["published"], ".2f"),
        "" if row["band"] is None else f"±{row['band']:g}",
        _number(row["mean"], ".2f") + spread,
        str(len(row["top1"])),
        _number(row["difference"], "+.2f").replace("-", "−"),
        f"{row['epochs']} of {row['epochs_published']}" if row["top1"] else "",
        _number(row["seconds"] / 60 / len(row["top1"]) if row["top1"] else None, ".1f"),
        row["verdict"],
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _remarks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    told = [f"- `{row['row']}`: {row['remark']}" for row in rows if row["remark"]]
    for source in dict.fromkeys(row["source"] for row in rows if row["source"]):
        names = ", ".join(f"`{row['row']}`" for row in rows if row["source"] == source)
        told.append(f"- published in {source}: {names}")
    return ["\n".join(told)] if told else []
