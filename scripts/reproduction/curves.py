"""The course of a run: error and flips at a few epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bnn_train.report.markdown import table as markdown_table

SHOWN = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000)
KINDS = {
    "validation_top1": "validation error %",
    "train_top1": "training error %",
    "flip_rate": "flips % of the weights",
}

Curve = dict[str, dict[str, float]]
"""``{kind: {epoch: value in %}}``; the epochs are texts, as JSON has them."""


def curve_of(history: Sequence[Mapping[str, Any]]) -> Curve:
    """The curves of a report's history, whole; training error only where no validation error is."""
    found = {kind: values for kind in KINDS if (values := _values(history, kind))}
    if "validation_top1" in found:
        found.pop("train_top1", None)
    return found


def _values(history: Sequence[Mapping[str, Any]], kind: str) -> dict[str, float]:
    told = [(str(line["epoch"]), line[kind]) for line in history if line.get(kind) is not None]
    return {epoch: round(100 - v if kind.endswith("top1") else 100 * v, 4) for epoch, v in told}


def curves(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A Markdown table of the rows' ``curve`` at the epochs of SHOWN and at a row's last one; maybe none."""
    lines = [
        (row["row"], kind, values) for kind in KINDS for row in rows if (values := row["curve"].get(kind))
    ]
    last = {str(max(map(int, values))) for _, _, values in lines}
    told = {epoch for _, _, values in lines for epoch in values}
    epochs = sorted((epoch for epoch in told if int(epoch) in SHOWN or epoch in last), key=int)
    if not epochs:
        return []
    cells = [
        (f"`{row}`, {KINDS[kind]}", *(_number(values.get(epoch)) for epoch in epochs))
        for row, kind, values in lines
    ]
    return [markdown_table(("first seed, epoch", *epochs), cells)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
