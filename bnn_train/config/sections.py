"""The shape of the schema, read from its types: which keys a section has, which names an option."""

from __future__ import annotations

import types
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag

from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import KeyPath


def bare(annotation: Any) -> Any:
    """An annotation without ``Annotated`` and ``| None``."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    kinds = [kind for kind in get_args(annotation) if kind is not types.NoneType]
    return bare(kinds[0]) if is_union(annotation) and len(kinds) == 1 else annotation


def _keys(section: Any) -> dict[str, Any]:
    """The keys of a section as a config has them, and their types; ``from`` is no name in Python."""
    return {field.alias or name: field.annotation for name, field in section.model_fields.items()}


def is_union(annotation: Any) -> bool:
    """Whether this is ``A | B``."""
    return get_origin(annotation) in (Union, types.UnionType)


def is_section(annotation: Any) -> bool:
    """Whether this is a class of keys."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def members(annotation: Any) -> dict[str, Any]:
    """The sections of a union by their ``name``; empty if this is no union of such."""
    kinds = [bare(kind) for kind in get_args(annotation)] if is_union(annotation) else []
    if not all(is_section(kind) and "name" in kind.model_fields for kind in kinds):
        return {}
    return {get_args(kind.model_fields["name"].annotation)[0]: kind for kind in kinds}


def _tagged(annotation: Any, tag: str) -> Any:
    """The kind of a union that a location names: by a section's ``name``, or by pydantic's ``Tag``."""
    if tag in (known := members(annotation)):
        return known[tag]
    return next((bare(kind) for kind in get_args(annotation) if Tag(tag) in get_args(kind)), None)


def choices(annotation: Any) -> list[str]:
    """The words that may stand here: those of a ``Literal``, or the names of a union's sections."""
    annotation = bare(annotation)
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return list(members(annotation))


def default_section(section: str, keys: Iterable[str]) -> dict[str, Any] | None:
    """The named default that lies below ``keys`` of a section which a config leaves out: ``{name: adam}``.

    None for a section without one, or where a key belongs to another kind (momentum), which must be chosen.
    """
    field = Experiment.model_fields.get(section)
    if field is None or not isinstance(field.default, dict):
        return None
    kinds = members(bare(field.annotation))
    own = kinds[field.default["name"]].model_fields
    foreign = {key for kind in kinds.values() for key in kind.model_fields} - own.keys()
    return None if foreign.intersection(keys) else dict(field.default)


def follow(location: KeyPath) -> tuple[KeyPath, Any, Any]:
    """A pydantic location → (the user's key path, the type there, the section it is in).

    Pydantic puts the tag of a discriminated union and ``[key]`` into its locations; users write neither.
    """
    path: KeyPath = ()
    here: Any = Experiment
    section: Any = Experiment
    for item in location:
        here = bare(here)
        if item == "[key]":
            continue
        if is_union(here):
            here = _tagged(here, str(item))
            continue
        if is_section(here):
            section = here
        path, here = (*path, item), _below(here, item)
    return path, bare(here), section


def kin(location: KeyPath) -> dict[str, Any]:
    """The sections that may stand where the key of a pydantic location stands, by name; empty if but one
    may."""
    found: dict[str, Any] = {}
    here: Any = Experiment
    for item in location[:-1]:
        here = bare(here)
        if is_union(here):
            found, here = members(here), _tagged(here, str(item))
        else:
            found, here = {}, _below(here, item)
    return found


def _below(annotation: Any, item: str | int) -> Any:
    if is_section(annotation):
        return _keys(annotation).get(str(item))
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return arguments[1]
    if isinstance(item, int) and Ellipsis not in arguments and item < len(arguments):
        return arguments[item]
    return arguments[0] if arguments else None


@cache
def homes() -> dict[str, list[str]]:
    """Every key of the schema → the dotted paths where it may stand (lists left out)."""
    result: dict[str, list[str]] = defaultdict(list)
    for key, path in _walk(Experiment, ""):
        if path not in result[key]:
            result[key].append(path)
    return dict(result)


def _walk(section: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for key, annotation in _keys(section).items():
        yield key, prefix + key
        kind = bare(annotation)
        for inner in members(kind).values() if is_union(kind) else [kind]:
            if is_section(inner):
                yield from _walk(inner, f"{prefix}{key}.")
