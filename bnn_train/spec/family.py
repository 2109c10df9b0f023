"""The family tree of the methods: which axes each row changed against its parent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from bnn_train.spec.annealed import Curve
from bnn_train.spec.method import Method
from bnn_train.spec.methods import ENTRIES, METHODS

SECTIONS = ("weight", "activation", "latent", "scope", "block", "norm")


def word(value: Any) -> str:
    """An axis value as a config says it: its name, and the options that are other than usual."""
    if isinstance(value, Curve):
        return f"{value.begin:g} … {value.to:g}"
    if not isinstance(value, BaseModel):
        return ", ".join(value) or "none" if isinstance(value, tuple) else str(value).lower()
    fields = type(value).model_fields
    options = {
        key: getattr(value, key)
        for key, field in fields.items()
        if key != "name" and getattr(value, key) != field.default
    }
    inner = ", ".join(f"{key} {word(option)}" for key, option in options.items())
    return f"{getattr(value, 'name', '')}({inner})" if inner else str(getattr(value, "name", ""))


def axes(method: Method) -> Iterator[tuple[str, Any]]:
    """Every axis of a method by its key in a config, with its value."""
    for name in type(method).model_fields:
        value = getattr(method, name)
        if name in SECTIONS:
            yield from ((f"{name}.{key}", getattr(value, key)) for key in type(value).model_fields)
        elif name not in ("name", "paper"):
            yield name, value


def changes(name: str) -> dict[str, tuple[str, str]]:
    """By axis, the parent's value and the row's own; of a root, against the real-valued twin."""
    parent = METHODS[ENTRIES[name].parent or "fp"]
    before = dict(axes(parent))
    return {
        key: (word(before[key]), word(value)) for key, value in axes(METHODS[name]) if before[key] != value
    }


def in_tree_order() -> Iterator[tuple[int, str]]:
    """Every row behind its parent, siblings by year, with its depth."""

    def below(parent: str, depth: int) -> Iterator[tuple[int, str]]:
        for entry in ENTRIES.values():
            if entry.parent == parent:
                yield depth, entry.name
                yield from below(entry.name, depth + 1)

    yield from below("", 0)
