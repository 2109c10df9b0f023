"""One mapping laid over another: the rule of `extends`, `--set` and method overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, key by key.

    Mappings merge; anything else replaces. A bare name below a mapping is that mapping's `name`. A
    mapping whose `name` differs from the one below it replaces it too, since the options of one
    optimizer (method, network, …) mean nothing to another.
    """
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, str):
            below = {"name": below}
        if isinstance(value, Mapping) and isinstance(below, Mapping) and _same_kind(below, value):
            result[key] = merge(below, value)
        else:
            result[key] = value
    return result


def _same_kind(below: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return "name" not in value or "name" not in below or value["name"] == below["name"]


def at(data: Any, path: Sequence[str | int]) -> Any:
    """The value at a key path in mappings and lists. Raises LookupError where there is none."""
    for key in path:
        indexed = isinstance(data, list | tuple) and isinstance(key, int)
        if not indexed and not isinstance(data, Mapping):
            raise LookupError(key)
        container: Any = data
        data = container[key]
    return data
