"""Tables for people: columns as wide as their widest cell, a rule below the head and above the total."""

from __future__ import annotations

from collections.abc import Collection, Sequence

Cells = Sequence[str]


def aligned(
    head: Cells, body: Sequence[Cells], left: Collection[int], total: Cells | None = None
) -> list[str]:
    """The lines of a table; columns ``left`` (from 0) are aligned left, all others right."""
    last = [] if total is None else [total]
    widths = [max(map(len, column)) for column in zip(head, *body, *last, strict=True)]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    rows = [_line(row, widths, left) for row in body]
    end = [rule, _line(total, widths, left)] if total is not None else []
    return [_line(head, widths, left), rule, *rows, *end]


def _line(cells: Cells, widths: Sequence[int], left: Collection[int]) -> str:
    pairs = enumerate(zip(cells, widths, strict=True))
    return "  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in pairs).rstrip()
