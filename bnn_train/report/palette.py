"""Colours of the pages and plots: each has a value in light and in dark, and a CSS variable by its name."""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """A colour in light and dark surroundings; plots that are saved as files have the light one."""

    light: str
    dark: str


PAPER = Colour("#fefefe", "#161a20")
INK = Colour("#1b1f24", "#e8eaed")
MUTED = Colour("#626b77", "#9aa4b1")
GRID = Colour("#e2e5e9", "#2e353e")
SERIES = (
    Colour("#2563eb", "#6ea8fe"),
    Colour("#d97706", "#fbbf24"),
    Colour("#15803d", "#4ade80"),
    Colour("#dc2626", "#f87171"),
    Colour("#7c3aed", "#b197fc"),
    Colour("#0e7490", "#22d3ee"),
    Colour("#be185d", "#f472b6"),
    Colour("#65750b", "#bfdb38"),
)
VARIABLES = {
    "paper": PAPER,
    "ink": INK,
    "muted": MUTED,
    "grid": GRID,
    **{f"series{i}": colour for i, colour in enumerate(SERIES)},
}


def css_variables(scheme: str) -> str:
    """``--name: value`` of every colour, for ``light`` or ``dark``."""
    return " ".join(f"--{name}: {getattr(colour, scheme)};" for name, colour in VARIABLES.items())
