"""The parts of a config that are of this machine alone: where the run, its data and its checkpoints lie.

Files that may be given away (packed files, checkpoints, reports, manifests) tell neither. A run's own
config.yaml does, and what lies in that run finds its data by it.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from bnn_train.config.schema import Data, Experiment
from bnn_train.config.yaml_reader import read_yaml
from bnn_train.errors import ConfigError

CONFIG = "config.yaml"
_LOCAL = (("data", "root"), ("run", "dir"))
_PATH = re.compile(r"""(?<![\w./~])(?:/|~[\w.-]*/|~[\w.-]+)[^,}\]"'\n]*""")
"""An absolute path within a word, ``~user`` among them; it may hold blanks."""


def portable(experiment: Experiment) -> dict[str, Any]:
    """The whole config as JSON values, its folders as if none had been named."""
    data = experiment.data.model_copy(update={"root": Data.model_fields["root"].default})
    run = experiment.run.model_copy(update={"dir": None})
    dumped = experiment.model_copy(update={"data": data, "run": run}).model_dump(mode="json")
    for source in _sources(dumped):
        source["checkpoint"] = shown(source["checkpoint"])
    return dumped


def _sources(dumped: Any) -> Iterator[dict[str, Any]]:
    """The mappings of a dumped config that name a checkpoint, in its order."""
    if isinstance(dumped, dict) and isinstance(dumped.get("checkpoint"), str) and "sha256" in dumped:
        yield dumped
    elif isinstance(dumped, dict | list):
        for inner in dumped.values() if isinstance(dumped, dict) else dumped:
            yield from _sources(inner)


def located(stored: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """A stored config with the folders that the config.yaml in ``run`` names, if it is of the same data."""
    own, found = _sections(run / CONFIG), dict(stored)
    if _at(own, "data", "name") != _at(stored, "data", "name"):
        return found
    for section, key in _LOCAL:
        value = _at(own, section, key)
        if isinstance(value, str) and isinstance(found.get(section), Mapping):
            found[section] = {**found[section], key: value}
    return _with_sources(found, own)


def _with_sources(stored: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config whose checkpoints lie where ``own`` has the same ones."""
    places = {source["sha256"]: source["checkpoint"] for source in _sources(own) if source["sha256"]}
    found = copy.deepcopy(stored)
    for source in _sources(found):
        source["checkpoint"] = places.get(source["sha256"], source["checkpoint"])
    return found


def _at(config: Mapping[str, Any], section: str, key: str) -> Any:
    inner = config.get(section)
    return inner.get(key) if isinstance(inner, Mapping) else None


def _sections(path: Path) -> Mapping[str, Any]:
    """A config file as it stands; empty if there is none that can be read."""
    if not path.is_file():
        return {}
    try:
        found = read_yaml(path, str(path)).data
    except (ConfigError, OSError):
        return {}
    return found if isinstance(found, Mapping) else {}


def is_utf8(path: PurePath | str) -> bool:
    """Whether a path can be written down: checkpoints cannot be read under another, nor configs name it."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(path: PurePath | str) -> str:
    """A path for a document that may be given away: of an absolute one the last name alone."""
    text = os.fspath(path)
    return f"…/{PurePath(text).name}" if text.startswith(("/", "~")) else text


def shown_words(words: Sequence[str]) -> list[str]:
    """A command line for such a document."""
    return [
        shown(word) if word.startswith("/") else _PATH.sub(lambda found: shown(found[0]), word)
        for word in words
    ]
