"""Aligned tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bnn_train.aligned import aligned

Cell = str | float | int | None
Row = Mapping[str, Cell]


def cell(value: Cell) -> str:
    """Three significant digits; nothing for what was not measured."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.{2 if abs(value) < 100 else 1}f}"


def table(rows: Sequence[Row], left: Sequence[str] = ()) -> str:
    """Columns in the order in which they first appear; those in ``left`` are aligned left.

    A column that is empty in every row is left out.
    """
    heads = list(dict.fromkeys(name for row in rows for name in row))
    heads = [name for name in heads if any(row.get(name) is not None for row in rows)]
    body = [[cell(row.get(name)) for name in heads] for row in rows]
    return "\n".join(aligned(heads, body, [i for i, name in enumerate(heads) if name in left]))
