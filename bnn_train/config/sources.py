"""A config file, the files it extends and the overrides → one mapping that knows where each key is from."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from bnn_train.config.merge import at, merge
from bnn_train.config.migrate import moved
from bnn_train.config.sections import default_section
from bnn_train.config.shipped import named, nearest
from bnn_train.config.yaml_reader import Document, KeyPath, parse, read_yaml
from bnn_train.errors import BnnError, ConfigError
from bnn_train.files import expanded


@dataclass(frozen=True)
class Source:
    """A composed config, not yet validated."""

    data: dict[str, Any]
    positions: dict[KeyPath, str]
    problems: list[str]

    def over(self, base: Source) -> Source:
        """This laid on ``base``."""
        return Source(
            merge(base.data, self.data), base.positions | self.positions, base.problems + self.problems
        )

    def place(self, path: KeyPath) -> str:
        """The place of the key at ``path``, or of the nearest key above it: ``file:line`` or ``--set …``."""
        while path and not (path in self.positions and _holds(self.data, path)):
            path = path[:-1]
        return self.positions[path]


def _holds(data: dict[str, Any], path: KeyPath) -> bool:
    try:
        at(data, path)
    except LookupError:
        return False
    return True


def compose(path: Path, overrides: Sequence[str]) -> Source:
    """The file with what it extends below it and the ``a.b=c`` overrides above."""
    if not path.exists():
        raise ConfigError([f"{path}: no such file{_neighbour(path)}"])
    return overlay(_read(path, ()), overrides)


def overlay(source: Source, overrides: Sequence[str]) -> Source:
    """``a.b=c`` overrides laid on a source; a later one on the earlier."""
    laid = reduce(lambda below, text: _override(text).over(below), overrides, Source({}, {}, []))
    whole = laid.over(source)
    return Source(
        {key: _named(key, value) for key, value in whole.data.items()}, whole.positions, whole.problems
    )


def _named(section: str, keys: Any) -> Any:
    """A section that changes keys of its default without naming it: ``optimizer: {lr: 1e-3}`` is Adam's."""
    if not isinstance(keys, dict) or "name" in keys:
        return keys
    return {**(default_section(str(section), keys) or {}), **keys}


def _neighbour(path: Path) -> str:
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    meant = folder / close[0] if close else nearest(path)
    return f" (did you mean {meant}?)" if meant else ""


def _read(path: Path, chain: tuple[Path, ...]) -> Source:
    document = read_yaml(path, str(path))
    if not isinstance(document.data, dict):
        raise ConfigError([f"{path}:1: a config holds keys, like method: bnn, and this file holds none"])
    chain = (*chain, path)
    parents = [_parent(document, path, name, chain) for name in _parents(document)]
    own = {key: value for key, value in document.data.items() if key != "extends"}
    data, positions = moved(own, document.positions)
    here = Source(data, {**positions, (): str(path)}, document.problems)
    return reduce(lambda below, above: above.over(below), [*parents, here])


def _parents(document: Document) -> list[str]:
    extends = document.data.get("extends", [])
    names = [extends] if isinstance(extends, str) else extends
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        place = document.positions["extends",]
        raise ConfigError([f"{place}: extends: must be a path or a list of paths, relative to this file"])
    return names


def parent_of(child: Path, name: str) -> Path:
    """The file that ``child`` extends by this name: below its own folder, or else a shipped config.

    Raises BnnError for an unknown user's ``~user``, and for a name that several shipped configs have.
    """
    path = Path(os.path.normpath(child.parent / expanded(name)))
    return path if path.is_file() else named(name) or path


def _parent(document: Document, child: Path, name: str, chain: tuple[Path, ...]) -> Source:
    place = document.positions["extends",]
    try:
        path = parent_of(child, name)
    except BnnError as error:
        raise ConfigError([f"{place}: extends: {error}"]) from None
    if not path.is_file():
        raise ConfigError([f"{place}: extends: no such file: {path}{_neighbour(path)}"])
    if any(path.samefile(earlier) for earlier in chain):
        told = " → ".join(str(link) for link in (*chain, path))
        raise ConfigError([f"{place}: extends: the files extend each other in a circle: {told}"])
    return _read(path, chain)


def _override(text: str) -> Source:
    """One ``a.b=c``; c is a YAML value."""
    place = f"--set {text}"
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError([f"{place}: write it as key=value, for example optimizer.lr=1e-3"])
    path: KeyPath = tuple(int(part) if part.isdecimal() else part for part in key.split("."))
    document = parse(value, lambda line: place) or Document(None)
    data = document.data
    for part in reversed(path):
        data = {part: data}
    keys = [path[:n] for n in range(1, len(path))] + [(*path, *inner) for inner in document.positions or [()]]
    data, positions = moved(data, dict.fromkeys(keys, place))
    return Source(data, positions, document.problems)
