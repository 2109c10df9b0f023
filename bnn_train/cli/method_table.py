"""``bnn-train --list methods`` and ``--list methods NAME``: the table of methods, and a card of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import fill
from typing import Any

from bnn_train.inspect.method_card import bits, formulas, packs
from bnn_train.spec.family import axes, changes, word
from bnn_train.spec.methods import ENTRIES, METHODS, OUTSIDE, Entry
from bnn_train.spec.methods.entry import Published

HEAD = ("name", "method", "year", "W/A", "packs to", "published", "measured here")
WIDTH = 110
MEASURED = "expected.json"
"""Below the configs: what rows reached here, by table (``scripts/reproduce.py``)."""


def method_table(configs: Path) -> str:
    """A line for each row: method, year, bits, planes of packed products, top-1 published and measured."""
    lines = [HEAD, *(cells(entry, configs) for entry in ENTRIES.values())]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    told = ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines]
    notes = (
        "W/A: bits of weights and activations, T ternary. packs to: products of signs for one product,"
        " weights × activations, +1 an offset; – cannot be packed. published, measured: top-1 %.",
        "--list methods NAME: axes, formulas, gradients and a config to start from.",
    )
    outside = [fill(f"outside: {one.title}: {one.reason}", WIDTH) for one in OUTSIDE]
    return "\n".join(
        [*(line.rstrip() for line in told), "", *(fill(note, WIDTH) for note in notes), *outside]
    )


def cells(entry: Entry, configs: Path) -> tuple[str, ...]:
    """A row's line, under HEAD."""
    row, measured = entry.method, _measured(configs).get(entry.name)
    return (
        entry.name,
        entry.title,
        str(entry.year),
        _bits(entry),
        packs(row),
        _published(entry.published[0]) if entry.published else "",
        "" if measured is None else f"{measured['top1']:.2f} {measured['config']}",
    )


def _bits(entry: Entry) -> str:
    return f"{bits(entry.method.weight)}/{bits(entry.method.activation)}"


def _published(found: Published) -> str:
    told = f" at {found.bits}" if found.bits != "1/1" else ""
    return f"{found.top1:g} {found.data} {found.network}{told}"


@cache
def _measured(configs: Path) -> dict[str, dict[str, Any]]:
    """By row what was reached here: of the first table of the file that has it, and was run in full."""
    path = configs / MEASURED
    if not path.is_file():
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name, table in json.loads(path.read_text(encoding="utf-8")).items():
        if " " not in name:  # neither cut nor changed
            found = table["rows"] | found
    return {name: row for name, row in found.items() if name in METHODS}


def method_card(name: str, configs: Path) -> str:
    """All about one row: what it changed, its axes with their formulas and gradients, numbers, a start."""
    entry, measured = ENTRIES[name], _measured(configs).get(name)
    lines = [
        f"{name}: {entry.title} ({entry.year}), {_bits(entry)} bits, packs to {packs(entry.method)}",
        fill(entry.method.paper, WIDTH),
        *([fill(entry.note, WIDTH)] if entry.note else []),
        "",
        *_changes(entry),
        *_axes(entry),
        "",
        *(
            f"published  {_published(one)}{f' ({one.source})' if one.source else ''}"
            for one in entry.published
        ),
        *([] if measured is None else [f"measured   {measured['top1']:.2f} {measured['config']}"]),
        f"start      bnn-train --config {entry.start}{_chosen(entry)}",
    ]
    return "\n".join(lines)


def _chosen(entry: Entry) -> str:
    return f" --set method={entry.name}" if entry.start == "quickstart.yaml" else ""


def _changes(entry: Entry) -> Iterator[str]:
    if not entry.parent:
        return
    yield f"against {entry.parent}:"
    for key, (before, after) in changes(entry.name).items():
        yield f"  {key}: {before} → {after}"
    yield ""


def _axes(entry: Entry) -> Iterator[str]:
    told = list(formulas(entry.method))
    for formula in told:
        yield f"{formula.axis}: {formula.value}"
        yield fill(formula.text, WIDTH, initial_indent="  ", subsequent_indent="  ")
    shown = {formula.axis for formula in told}
    rest = ((key, word(value)) for key, value in axes(entry.method) if key not in shown)
    spoken = ("latent", "scope", "block", "norm", "padding")
    facts = [f"{key}: {value}" for key, value in rest if key.startswith(spoken)]
    yield fill("; ".join(facts), WIDTH)
