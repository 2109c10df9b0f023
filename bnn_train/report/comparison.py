"""The page of several runs: a sorted table, what their configs differ in, overlaid curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bnn_train.report import plots
from bnn_train.report.markup import Cell, Section, bar, left, page, table, text
from bnn_train.report.numbers import bytes_told, duration
from bnn_train.report.page import MADE_BY
from bnn_train.report.plots import Line, Plot
from bnn_train.report.run_files import RunFiles
from bnn_train.report.sections import Drawn, errors_of

APART = ("run", "reference")
"""Sections that change no number."""
SHOWN = 60
"""Letters of a value."""


def ranked(runs: Sequence[RunFiles]) -> list[RunFiles]:
    """By top-1, the best first; those without a result last, in the order given."""
    return sorted(runs, key=lambda run: -run.report["top1"] if run.report else float("inf"))


def comparison_page(runs: Sequence[RunFiles]) -> tuple[str, list[Plot]]:
    """The HTML, and the plots on it."""
    runs, drawn = ranked(runs), Drawn()
    parts = [
        Section("results", "Results", _results(runs)),
        Section("curves", "Curves", drawn.grid(curve_plots(runs))),
        Section("differences", "Differences of the configs", _differences(runs)),
    ]
    data = sorted({run.title.rpartition(" on ")[2] for run in runs})
    title = f"{len(runs)} runs on {', '.join(data)}"
    best = runs[0]
    lead = ""
    if best.report:
        lead = f"Best: {best.name}, {best.title}, {best.report['top1']:.2f} % top-1."
    notes = "" if len(data) == 1 else "<p class=note>These runs are of different data sets.</p>"
    head = f"<h1>{text(title)}</h1><p class=lead>{text(lead)}</p>{notes}"
    return page(title, head, parts, MADE_BY), drawn.plots


def _results(runs: Sequence[RunFiles]) -> str:
    scores = [run.report["top1"] for run in runs if run.report]
    least, most = min(scores, default=0.0), max(scores, default=100.0)
    low = max(0.0, least - 0.3 * (most - least) - 0.2)
    head = ("run", left("network"), "top-1 %", "95 % interval", Cell(""))
    costs = ("epochs", "bytes", "smaller", "MACs 1-bit", "training", "flips, last")
    rows = [_result(run, low, most - low) for run in runs]
    best = 0 if runs[0].report else None
    told = "<p class=hint>Sorted by top-1; a click on a column's head sorts by it.</p>"
    return told + table((*head, *costs), rows, kind="full dense sortable", best=best)


def _result(run: RunFiles, low: float, span: float) -> list[Cell | str]:
    names: list[Cell | str] = [run.name, left(run.title)]
    flips = run.curve("flip_rate")
    flipped = Cell(f"{100 * flips[-1][1]:.2f} %", "", flips[-1][1]) if flips else Cell("")
    report = run.report
    if report is None:
        return [*names, Cell("unfinished"), *[Cell("")] * 2, str(len(run.epochs)), *[Cell("")] * 4, flipped]
    lower, upper = report["top1_interval"]
    macs = report.get("macs", {})
    share = macs.get("binary", 0) / (sum(macs.values()) or 1)
    seconds, ratio = report.get("wall_time_s") or 0.0, report["bytes_real"] / max(1, report["bytes"])
    return [
        *names,
        f"{report['top1']:.2f}",
        Cell(f"{lower:.2f}–{upper:.2f}", "", lower),
        bar((report["top1"] - low) / span),
        str(report.get("epochs", len(run.epochs))),
        Cell(bytes_told(report["bytes"]), "", report["bytes"]),
        Cell(f"{ratio:.1f} ×", "", ratio),
        Cell(f"{100 * share:.1f} %", "", share),
        Cell(text(duration(seconds)), "", seconds),
        flipped,
    ]


def curve_plots(runs: Sequence[RunFiles]) -> Iterator[Plot]:
    """Each run a line: error, loss, flips; and top-1 over size where sizes differ."""
    error = [Line(run.name, errors_of(run.scored)) for run in runs]
    loss = [Line(run.name, run.curve("train_loss")) for run in runs]
    flips = [Line(run.name, [(e, 100 * v) for e, v in run.curve("flip_rate")]) for run in runs]
    for name, title, curves, label, log in (
        ("error", "Top-1 error on the split that chooses", error, "top-1 error %", True),
        ("loss", "Training loss", loss, "loss", False),
        ("flip_rate", "Flips of all layers", flips, "weights that changed sign %", True),
    ):
        if any(line.points for line in curves):
            yield Plot(name, title, plots.lines(curves, label, log=log))
    sizes = [(run.name, run.report["bytes"], run.report["top1"]) for run in runs if run.report]
    if len({size for _, size, _ in sizes}) > 1:
        yield Plot("size", "Top-1 over size", plots.scatter(sizes))


def _differences(runs: Sequence[RunFiles]) -> str:
    rows = list(different(runs))
    if not rows:
        return "<p>None, but for where the runs are.</p>"
    cells: list[list[Cell | str]] = [
        [key, *(Cell(text(value), "left wrap") for value in values)] for key, values in rows
    ]
    return table(("key", *(left(run.name) for run in runs)), cells, kind="")


def different(runs: Sequence[RunFiles]) -> Iterator[tuple[str, list[str]]]:
    """The keys of the configs whose values are not the same in all runs, with the values."""
    flat = [dict(_flat(run.config)) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    for key in keys:
        values = [one.get(key, "–") for one in flat]
        parts = key.split(".")
        if len(set(values)) > 1 and parts[0] not in APART and parts[-1] != "paper":
            yield key, values


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    else:
        words = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        yield key, words if len(words) <= SHOWN else f"{words[:SHOWN]}…"
