"""The family tree of the methods as a picture: year, bits, and the axes that each changed.

    python scripts/family_tree.py [--out configs/family.svg]

Drawn from the rows in bnn_train/spec/methods. Needs matplotlib: pip install -e '.[plots]'.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnn_train.cli import terminal
from bnn_train.cli.common import guarded, path_argument, say
from bnn_train.errors import RunError
from bnn_train.inspect.method_card import bits
from bnn_train.spec.family import changes, in_tree_order
from bnn_train.spec.methods import ENTRIES

TOLD = (
    "weight",
    "activation",
    "output_scale",
    "output_gradient",
    "block.shortcut",
    "block.post_add_activation",
)
"""The axes that a picture has room for; latent rules, norms and scope stand in `--list methods NAME`."""
SIDES = {"weight": "w", "activation": "a"}
COLOURS = {"1/1": "#1f4e79", "1/32": "#d9822b", "32/32": "#8a8a8a"}
OTHER = "#2a7f3f"
ROW, INDENT, WIDTH = 0.24, 0.32, 12.0
"""Inches of a line, of a generation, of the picture."""


def label(name: str) -> str:
    """The changed axes of a row, each with its new value."""
    told = []
    for key, (_, after) in changes(name).items():
        side, _, axis = key.partition(".")
        if key.startswith(TOLD):
            told.append(f"{SIDES.get(side, '')} {axis or side}: {after}".strip())
    return "; ".join(told) if ENTRIES[name].parent else ""


def draw(out: Path) -> None:
    """Write the picture, in the format of the file's ending."""
    try:
        import matplotlib
    except ImportError:
        raise RunError("drawing needs matplotlib: pip install -e '.[plots]'") from None
    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "family", "font.size": 8}
    from matplotlib import pyplot

    place = {name: (depth * INDENT, line) for line, (depth, name) in enumerate(in_tree_order())}
    figure, axes = pyplot.subplots(figsize=(WIDTH, ROW * len(place) + 0.3))
    for name in place:
        _row(axes, name, place)
    axes.set_xlim(-0.2, WIDTH)
    axes.set_ylim(len(place) - 0.4, -0.6)
    axes.set_axis_off()
    figure.subplots_adjust(0, 0, 1, 1)
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)
    say(f"written: {out}")


def _row(axes: Any, name: str, place: dict[str, tuple[float, int]]) -> None:
    entry = ENTRIES[name]
    x, y = place[name]
    kind = f"{bits(entry.method.weight)}/{bits(entry.method.activation)}"
    colour = COLOURS.get(kind, OTHER)
    if entry.parent:
        px, py = place[entry.parent]
        axes.plot([px, px, x], [py, y, y], color="#b0b0b0", linewidth=0.9, zorder=1)
    axes.plot([x], [y], "o", markersize=4.5, color=colour, zorder=2)
    told = axes.text(x + 0.12, y, name, va="center", weight="bold", color=colour)
    rest = f"  {entry.year}, {kind}   {_short(label(name))}"
    axes.annotate(rest, (1, 0.5), xycoords=told, va="center", ha="left", color="#555555")


def _short(text: str, most: int = 110) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    p = argparse.ArgumentParser(prog="family_tree.py", description=(__doc__ or "").splitlines()[0])
    p.add_argument("--out", type=path_argument, default=Path("configs/family.svg"), metavar="F")
    args = p.parse_args(argv)
    return guarded(lambda: draw(args.out))


if __name__ == "__main__":
    sys.exit(main())
