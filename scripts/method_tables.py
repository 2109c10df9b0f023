"""The tables of methods on the pages, written from the rows: configs/METHODS.md, and the part between the
marks in README.md.

    python scripts/method_tables.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from bnn_train.cli import terminal
from bnn_train.cli.common import guarded, say
from bnn_train.cli.method_table import HEAD, cells
from bnn_train.errors import RunError
from bnn_train.files import write_atomic
from bnn_train.inspect.method_card import bits
from bnn_train.report.markdown import table
from bnn_train.spec.family import in_tree_order
from bnn_train.spec.methods import ENTRIES, OUTSIDE, Entry
from method_lines import lines_section

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- methods: scripts/method_tables.py -->\n", "<!-- end of methods -->\n"
GROUPS: dict[str, Callable[[str, str], bool]] = {
    "1-bit weights and activations": lambda w, a: (w, a) == ("1", "1"),
    "1-bit weights": lambda w, a: w == "1" and a == "32",
    "ternary weights": lambda w, a: w == "T",
    "more bits": lambda w, a: True,
}
"""In the README a row stands under the first that it fits."""


def door() -> str:
    """The README's table: the rows by their bits, each by its name."""
    found: dict[str, list[str]] = defaultdict(list)
    for entry in ENTRIES.values():
        own, other = bits(entry.method.weight), bits(entry.method.activation)
        if (own, other) == ("32", "32"):
            continue
        group = next(name for name, fits in GROUPS.items() if fits(own, other))
        found[group].append(f"`{entry.name}`")
    return "\n".join(["| | |", "| --- | --- |", *(f"| {g} | {', '.join(found[g])} |" for g in GROUPS)]) + "\n"


def page() -> str:
    """configs/METHODS.md: every row, the tree of what changed what, what is outside, lines of code."""
    lines = table(
        ("name", *HEAD[1:], "start"), [(*_first(entry), _start(entry)) for entry in ENTRIES.values()]
    )
    tree = [f"{'  ' * depth}- `{name}`" for depth, name in in_tree_order()]
    outside = table(("outside", "why"), [(f"{one.title} ({one.year})", one.reason) for one in OUTSIDE])
    parts = [
        "# Methods",
        "Written by `python scripts/method_tables.py` from the rows in `bnn_train/spec/methods/`.",
        "W/A: bits of weights and activations, T ternary. packs to: products of signs for one product,"
        " weights × activations, +1 an offset; – cannot be packed. published, measured: top-1 %,"
        " the latter on the [board](cifar10/BOARD.md). `bnn-train --list methods NAME` has"
        " formulas and gradients.",
        lines,
        "## Who changed whom",
        "\n".join(tree),
        *(["## Declared outside", outside] if OUTSIDE else []),
        "## Lines of code",
        lines_section(),
    ]
    return "\n\n".join(parts) + "\n"


def _first(entry: Entry) -> tuple[str, ...]:
    name, *rest = cells(entry, ROOT / "configs")
    return f"`{name}`", *rest


def _start(entry: Entry) -> str:
    return f"[{entry.start}]({entry.start})"


def readme(text: str) -> str:
    """The README with its table anew. Raises RunError where the marks are missing."""
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise RunError(f"README.md: the marks {BEGIN.strip()!r} and {END.strip()!r} are missing")
    return before + BEGIN + door() + END + after


def written() -> dict[Path, str]:
    """Every page with its text."""
    door_page = ROOT / "README.md"
    return {
        ROOT / "configs/METHODS.md": page(),
        door_page: readme(door_page.read_text(encoding="utf-8")),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    p = argparse.ArgumentParser(prog="method_tables.py", description=(__doc__ or "").splitlines()[0])
    p.add_argument("--check", action="store_true", help="write nothing; fail where a page is out of step")
    args = p.parse_args(argv)
    return guarded(lambda: _write(check=args.check))


def _write(*, check: bool) -> None:
    for path, text in written().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            raise RunError(f"{path.name} is out of step with the rows; run python scripts/method_tables.py")
        write_atomic(path, text)
        say(f"written: {path}")


if __name__ == "__main__":
    sys.exit(main())
