"""The options that a config's unions and literals allow, for the tests that hold them against the objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from bnn_train.spec.record import Record

REQUIRED: dict[str, dict[str, Any]] = {
    "table": {"rates": {0: 0.5}},
    "exponential": {"end": 0.1},
    "step": {"every": 1},
    "distillation": {"teacher": "runs/teacher"},
    "attention": {"teacher": "runs/teacher"},
    "feature": {"teacher": "runs/teacher", "layers": ["norm1"]},
    "apprentice": {"model": {"name": "mlp"}},
}
"""Options without which a section cannot be written."""


def members(annotation: Any) -> Iterator[type[Record]]:
    """The classes of a union of sections."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        yield annotation
    for inner in () if get_origin(annotation) is Literal else get_args(annotation):
        if get_origin(annotation) is not Annotated or inner is get_args(annotation)[0]:
            yield from members(inner)


def name_of(section: type[Record]) -> str:
    return str(get_args(section.model_fields["name"].annotation)[0])


def literals(section: type[Record], key: str) -> set[str]:
    return set(get_args(section.model_fields[key].annotation))


def sections(annotation: Any) -> list[Any]:
    """One section of every kind, as a config writes it."""
    return [
        cls.model_validate({"name": name_of(cls), **REQUIRED.get(name_of(cls), {})})
        for cls in members(annotation)
    ]


def ids(section: Any) -> str:
    return str(section.name)
