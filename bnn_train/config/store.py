"""Experiments as YAML text, as a digest, and their schema for editors."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from bnn_train.config.plugins import load_plugins
from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import CORE_SCALARS
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.methods import METHODS


class _Dumper(yaml.SafeDumper):
    """Quotes text that either YAML 1.1 or 1.2 would read as something else; writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Text with invisible letters is written with escapes: quotes alone would fold a U+0085 into a space."""
    style = None if text.replace("\n", "").isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
for _name, _pattern, _first in CORE_SCALARS:
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))


def dump(experiment: Experiment, *, escape: bool = False) -> str:
    """The fully resolved config as YAML, in the schema's order; it loads again as an equal experiment.

    ``escape``: in ASCII alone, for a terminal or pipe that is not UTF-8.
    """
    values = experiment.model_dump()
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=not escape, width=100)


def experiment_hash(experiment: Experiment) -> str:
    """SHA-256 (hex) of the resolved config as canonical JSON."""
    text = json.dumps(experiment.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def json_schema() -> dict[str, Any]:
    """A JSON Schema by which editors complete and check configs.

    Nothing is required, since `extends` may bring it, and a bare name may stand for a named section.
    """
    load_plugins()
    schema: dict[str, Any] = _loosen(Experiment.model_json_schema())
    schema["properties"] = {"extends": _EXTENDS, **schema["properties"]}
    schema["$defs"]["Method"]["properties"]["name"]["enum"] = list(METHODS)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


_EXTENDS = {
    "description": "Path or paths, relative to this file, of configs that this one is laid on.",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
}
_NAMED: dict[str, Mapping[str, object]] = {"#/$defs/Method": METHODS, "#/$defs/Data": DATASETS}
"""Sections that are no union, yet may be written as a bare name."""


def _loosen(node: Any) -> Any:
    if isinstance(node, list):
        return [_loosen(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _loosen(value) for key, value in node.items() if key != "required"}
    if "discriminator" in node:
        names = {"enum": list(node.pop("discriminator")["mapping"])}
        node["anyOf"] = [names, *node.pop("oneOf")]
    if node.get("$ref") in _NAMED:
        reference = node.pop("$ref")
        node["anyOf"] = [{"enum": list(_NAMED[reference])}, {"$ref": reference}]
    return node
