"""The methods, one row each. A file here that has ``ROWS`` is part of the table by being here."""

from __future__ import annotations

from collections.abc import Iterator
from pkgutil import iter_modules, resolve_name

from bnn_train.spec.method import Method
from bnn_train.spec.methods.entry import Entry
from bnn_train.spec.methods.outside import OUTSIDE

__all__ = ["ENTRIES", "METHODS", "OUTSIDE", "Entry"]


def _entries() -> Iterator[Entry]:
    for module in iter_modules(__path__):
        yield from getattr(resolve_name(f"{__name__}.{module.name}"), "ROWS", ())


ENTRIES: dict[str, Entry] = {
    entry.name: entry for entry in sorted(_entries(), key=lambda e: (e.year, e.name))
}
"""By name, in the order of the years."""
METHODS: dict[str, Method] = {name: entry.method for name, entry in ENTRIES.items()}
