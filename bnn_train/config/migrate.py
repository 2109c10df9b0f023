"""Configs of earlier releases in today's words: those that a run stored, and those that people wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bnn_train.config.sections import bare, members
from bnn_train.config.yaml_reader import KeyPath
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.method import ActivationSpec, WeightSpec

MOVED: dict[KeyPath, KeyPath] = {
    ("method", "weight", "threshold"): ("method", "weight", "quantizer", "threshold"),
    ("method", "weight", "scale", "kind"): ("method", "weight", "scale", "name"),
    ("method", "weight", "scale", "granularity"): ("method", "weight", "granularity"),
    ("method", "activation", "bits"): ("method", "activation", "quantizer", "bits"),
    ("method", "activation", "scale"): ("method", "output_scale"),
    ("method", "block", "stream"): ("method", "block", "post_add_activation"),
}
"""Keys that went elsewhere since release 0.1.0. Both places given: the old one is an unknown key."""

_WHOLE = {"root", "workers", "augment", "test_limit", "validation"}
"""Keys of a data section that every release has stored, and nobody writes all of."""
_STORED = (("method", "weight", "threshold"), ("method", "activation", "bits"), ("method", "block", "stream"))
"""Keys of a method that release 0.1.0 has stored, together only."""
_QUANTIZERS = {
    "weight": members(bare(WeightSpec.model_fields["quantizer"].annotation)),
    "activation": members(bare(ActivationSpec.model_fields["quantizer"].annotation)),
}


def moved(data: Any, positions: Mapping[KeyPath, str]) -> tuple[Any, dict[KeyPath, str]]:
    """A config's mapping with its keys in today's places, and where each of them stands in its file."""
    places = dict(positions)
    if not isinstance(data, dict) or not isinstance(data.get("method"), dict):
        return data, places
    whole = all(_at(data, path) is not _NOTHING for path in _STORED)
    for old, new in MOVED.items():
        value = _at(data, old)
        if value is not _NOTHING and _at(data, new) is _NOTHING:
            data = _put(_drop(data, old), new, value)
            places = {_renamed(path, old, new): place for path, place in places.items()}
            for length in range(1, len(new)):
                places.setdefault(new[:length], places.get(new, ""))
    return (_without_foreign(data) if whole else data), places


def migrated(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config in today's words. Only a whole one, as a run writes it, can tell that a key is younger
    than it; anything else is left as it is."""
    named, _ = moved(dict(stored), {})
    return _without_foreign(_by_position(named))


def _by_position(stored: dict[str, Any]) -> dict[str, Any]:
    """Image folders had no names in their split."""
    data = stored.get("data")
    if not isinstance(data, dict) or not data.keys() >= _WHOLE:
        return stored
    validation, row = data["validation"], DATASETS.get(str(data.get("name")))
    if row is None or row.layout != "folder" or not isinstance(validation, dict) or "by" in validation:
        return stored
    return {**stored, "data": {**data, "validation": {**validation, "by": "position"}}}


def _without_foreign(stored: dict[str, Any]) -> dict[str, Any]:
    """Release 0.1.0 stored the options of all quantizers together; each has its own today."""
    method = stored.get("method")
    if not isinstance(method, dict):
        return stored
    for side, kinds in _QUANTIZERS.items():
        section = method.get(side)
        quantizer = section.get("quantizer") if isinstance(section, dict) else None
        if not isinstance(section, dict) or not isinstance(quantizer, dict):
            continue
        kind = kinds.get(str(quantizer.get("name")))
        if kind is not None:
            own = {key: value for key, value in quantizer.items() if key in kind.model_fields}
            method = {**method, side: {**section, "quantizer": own}}
    return {**stored, "method": method}


_NOTHING = object()


def _at(data: Any, path: KeyPath) -> Any:
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return _NOTHING
        data = data[key]
    return data


def _drop(data: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    """Without the key at a path, and without a mapping that held nothing else."""
    first, rest = str(path[0]), path[1:]
    if not rest:
        return {key: value for key, value in data.items() if key != first}
    inner = _drop(data[first], rest)
    return {**data, first: inner} if inner else {key: v for key, v in data.items() if key != first}


def _put(data: dict[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    """With a value at a path; a bare name on the way becomes a mapping of that name."""
    first, rest = str(path[0]), path[1:]
    if not rest:
        return {**data, first: value}
    below = data.get(first)
    inner = {"name": below} if isinstance(below, str) else below if isinstance(below, dict) else {}
    return {**data, first: _put(inner, rest, value)}


def _renamed(path: KeyPath, old: KeyPath, new: KeyPath) -> KeyPath:
    return (*new, *path[len(old) :]) if path[: len(old)] == old else path
