"""Numbers as reports tell them."""

from __future__ import annotations

from collections.abc import Sequence


def short(count: float) -> str:
    """1,234 → 1,234; 1,310,000 → 1.31 M: at most four digits."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if count >= size:
            scale = 1e3 if letter == " k" else size
            return f"{count / scale:.3g}{letter}"
    return f"{count:,.0f}"


def bytes_told(count: float) -> str:
    """In the unit that fits: 51.9 kB, 1.31 MB."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def interval(bounds: Sequence[float]) -> str:
    """95.36–98.32 %."""
    return f"{bounds[0]:.2f}–{bounds[1]:.2f} %"


def latency(milliseconds: float) -> str:
    """In microseconds below a tenth of a millisecond."""
    return f"{milliseconds:.3g} ms" if milliseconds >= 0.1 else f"{1000 * milliseconds:.3g} µs"


def duration(seconds: float) -> str:
    """The two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"


def confused_most(counts: Sequence[Sequence[int]], most: int) -> list[tuple[int, int, int]]:
    """Images, truth and answer of the pairs of classes that are confused most."""
    found = [(n, i, j) for i, row in enumerate(counts) for j, n in enumerate(row) if i != j and n]
    return sorted(found, key=lambda one: (-one[0], one[1], one[2]))[:most]
