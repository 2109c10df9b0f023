"""From reports to a table: means, differences to the published numbers, verdicts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bnn_train.report.markdown import table as markdown_table
from reproduction.curves import curve_of, curves
from reproduction.runs import ROOT, Options, Plan
from reproduction.tables import Table

Reports = Mapping[int, dict[str, Any]]
"""By seed."""


def row_result(plan: Plan, reports: Reports) -> dict[str, Any]:
    """What a row gave, as JSON values."""
    scores = [report["top1"] for report in reports.values()]
    reference = plan.full.reference
    published = plan.row.top1 if plan.row.overrides else reference.top1
    mean = statistics.fmean(scores) if scores else None
    sources = (plan.row.source,) if plan.row.overrides else (reference.paper, reference.table)
    source = [] if published is None else [part for part in sources if part]
    result: dict[str, Any] = {
        "row": plan.row.name,
        "config": str(plan.path.relative_to(ROOT)),
        "epochs": plan.experiment(1).training.epochs,
        "epochs_published": plan.full.training.epochs,
        "top1": {str(seed): report["top1"] for seed, report in reports.items()},
        "mean": mean,
        "std": statistics.stdev(scores) if len(scores) > 1 else None,
        "published": published,
        "band": None if published is None else reference.band,
        "difference": None if mean is None or published is None else mean - published,
        "source": ", ".join(source),
        "remark": plan.row.remark,
        "seconds": sum(report["wall_time_s"] for report in reports.values()),
        "curve": curve_of(next(iter(reports.values()), {})),
        "command": plan.command,
    }
    return result | {"verdict": verdict(result, plan.options)}


def verdict(result: Mapping[str, Any], options: Options) -> str:
    """What may be said of a row: nothing about one that was changed or cut short."""
    if result["mean"] is None:
        return "not run"
    if result["epochs"] != result["epochs_published"]:
        return f"not comparable: {result['epochs']} of {result['epochs_published']} epochs"
    if options.sets:
        return f"not comparable: {', '.join(options.sets)}"
    if result["published"] is None:
        return "no published number"
    if result["band"] is None:
        return "not comparable: the published number is of another protocol"
    if abs(result["difference"]) <= result["band"]:
        return "inside the band"
    return f"outside the band, {'above' if result['difference'] > 0 else 'below'} it"


def table_result(
    table: Table, rows: Sequence[dict[str, Any]], options: Options, setting: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that results.json holds; ``setting``: machine, versions and revision."""
    return {
        "table": table.name,
        "title": table.title,
        "date": time.strftime("%Y-%m-%d"),
        "seeds": options.seeds,
        "fast": options.fast,
        "set": list(options.sets),
        **setting,
        "rows": list(rows),
    }


HEAD = ("row", "published %", "band", "here %", "seeds", "difference", "epochs", "min a run", "verdict")


def markdown(result: Mapping[str, Any]) -> str:
    """The section of a table, without a heading of its own level above ``##``."""
    rows = result["rows"]
    parts = [
        f"## {result['title']}",
        _setting(result),
        markdown_table(HEAD, [_cells(row) for row in rows]),
        *curves(rows),
        *_remarks(rows),
        "```\n" + "\n".join(row["command"] for row in rows) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _setting(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    threads = f"{machine['threads']} thread{'s' if machine['threads'] != 1 else ''}"
    on = ", ".join([*machine["gpus"], f"{machine['cpu']}, {threads}"])
    minutes = sum(row["seconds"] for row in result["rows"]) / 60
    took = f"{minutes / 60:.1f} h" if minutes >= 60 else f"{minutes:.1f} min"
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    short = ""
    if result["fast"] is not None:
        short = f" **Cut to at most {_epochs(result['fast'])}, schedules moved along.**"
    return f"`{result['table']}`, {result['date']}, {on}, {took} of training; {versions}.{short}"


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' if count != 1 else ''}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    spread = "" if row["std"] is None else f" ± {row['std']:.2f}"
    return [
        f"`{row['row']}`",
        _number(row["published"], ".2f"),
        "" if row["band"] is None else f"±{row['band']:g}",
        _number(row["mean"], ".2f") + spread,
        str(len(row["top1"])),
        _number(row["difference"], "+.2f").replace("-", "−"),
        f"{row['epochs']} of {row['epochs_published']}",
        _number(row["seconds"] / 60 / max(1, len(row["top1"])), ".1f"),
        row["verdict"],
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _remarks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    told = [f"- `{row['row']}`: {row['remark']}" for row in rows if row["remark"]]
    told += [f"- `{row['row']}`, published in {row['source']}" for row in rows if row["source"]]
    return ["\n".join(told)] if told else []


BEGIN, END = "<!-- table {} -->", "<!-- end of {} -->"
PREFACE = (
    "# Results\n\nWritten by `python scripts/reproduce.py TABLE --publish`; what is not here was not run.\n"
)


def published(path: Path, result: Mapping[str, Any]) -> str:
    """The text of a RESULTS.md with this table's section in the place of its former one, or at the end."""
    text = path.read_text(encoding="utf-8") if path.is_file() else PREFACE
    begin, end = BEGIN.format(result["table"]), END.format(result["table"])
    section = f"{begin}\n{markdown(result)}{end}\n"
    before, found, rest = text.partition(f"{begin}\n")
    if not found:
        return f"{text}\n{section}"
    return before + section + rest.partition(f"{end}\n")[2]
