"""YAML text → plain data and the place of every key.

Scalars follow the YAML 1.2 core schema: ``1e-3`` is a number, ``no``, ``off``, ``12:30:45`` and dates
are text, ``010`` is ten. Tags and merge keys are refused, duplicate keys told. Files may be hostile:
size, depth and aliases are capped, and nothing but text, numbers, lists and mappings comes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import Reader

from bnn_train.errors import ConfigError

KeyPath = tuple[str | int, ...]

MAX_BYTES = 64 * 1024  # a second of PyYAML's time; shipped configs have 2 KiB
MAX_DEPTH = 32
MAX_ALIASES = 100
MAX_NODES = 20_000  # after aliases are written out
MAX_DIGITS = 40

_TAG = "tag:yaml.org,2002:"
# YAML 1.2.2 §10.3.2, with the first characters that PyYAML looks a scalar up by.
CORE_SCALARS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
)


@dataclass
class Document:
    """The values of one YAML text, and the line of each key."""

    data: Any
    positions: dict[KeyPath, str] = field(default_factory=dict)
    """Key path → place, as ``file:line``."""
    problems: list[str] = field(default_factory=list)
    """Mistakes that left the rest readable: duplicate keys, told with both lines."""


class _Refused(yaml.MarkedYAMLError):
    """Valid YAML that a config may not hold."""


class _Composer(yaml.SafeLoader):
    """PyYAML's parser with 1.2 scalars, without tags, and with an end to nesting."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's own class attribute
    depth = 0
    aliases = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # in PyYAML
        if isinstance(event, yaml.AliasEvent):
            self.aliases += 1
        self._require(self.aliases <= MAX_ALIASES, f"more than {MAX_ALIASES} aliases", event)
        self._require(getattr(event, "tag", None) is None, "tags (words after !) are not allowed", event)
        self.depth += 1
        self._require(self.depth <= MAX_DEPTH, f"nested deeper than {MAX_DEPTH} levels", event)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _require(self, holds: bool, problem: str, event: yaml.Event) -> None:
        if not holds:
            raise _Refused(problem=problem, problem_mark=event.start_mark)  # type: ignore[arg-type]  # stub


for _name, _pattern, _first in CORE_SCALARS:
    _Composer.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), list(_first))


def read_yaml(path: Path, shown: str) -> Document:
    """Parse a file; ``shown`` is its name in messages. An empty file is an error."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"{shown}: cannot be read: {error.strerror}"]) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError([f"{shown}: larger than {MAX_BYTES // 1024} KiB; a config is a short text file"])
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{shown}: not UTF-8 at byte {error.start}; save the file as UTF-8"]) from None
    document = parse(text, lambda line: f"{shown}:{line}")
    if document is None:
        raise ConfigError([f"{shown}: the file is empty; a config needs at least method, model and data"])
    return document


def parse(text: str, place: Callable[[int], str]) -> Document | None:
    """Parse one YAML text; ``place`` turns a line (from 1) into words. None if there is nothing in it."""
    if bad := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise ConfigError([f"{place(line)}: the character U+{ord(bad.group()):04X} is not allowed in YAML"])
    try:
        root = _root(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError([f"{place(line)}: {_told(error)}"]) from None
    if root is None:
        return None
    builder = _Builder(place)
    return Document(builder.build(root, ()), builder.positions, builder.problems)


@lru_cache(maxsize=256)
def _root(text: str) -> Node | None:
    """The text's tree, kept: configs extend the same few files. Nobody changes a node."""
    root: Node | None = _Composer(text).get_single_node()
    return root


def _told(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "unreadable"
    if "\\t" in problem:
        return "a tab character; YAML is indented with spaces"
    if error.context and error.context.startswith("expected a single document"):
        return "a second document (---) begins here; a config is one document"
    return problem if isinstance(error, _Refused) else f"not valid YAML: {problem}"


class _Builder:
    """Nodes → data. Keeps the place of every key and list item."""

    def __init__(self, place: Callable[[int], str]) -> None:
        self.place = place
        self.positions: dict[KeyPath, str] = {}
        self.problems: list[str] = []
        self.nodes = 0

    def build(self, node: Node, path: KeyPath) -> Any:
        """The data of a node that stands at ``path``."""
        self.nodes += 1
        if self.nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise self._error(node, f"more than {MAX_NODES} values or {MAX_DEPTH} levels (after aliases)")
        self.positions.setdefault(path, self._place(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node) if isinstance(node, ScalarNode) else None

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str | int, Any]:
        result: dict[str | int, Any] = {}
        for key_node, value in node.value:
            key = self._key(key_node)
            here = (*path, key)
            if key in result:
                first = self.positions[here]
                shown = ".".join(map(str, here))
                self.problems.append(f"{self._place(key_node)}: {shown}: this key is already set at {first}")
            self.positions[here] = self._place(key_node)
            result[key] = self.build(value, here)
        return result

    def _key(self, node: Node) -> str | int:
        key = self._scalar(node) if isinstance(node, ScalarNode) else None
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise self._error(node, "a key must be a word or a whole number; put other text in quotes")
        if key == "<<":
            raise self._error(node, "merge keys (<<) are not allowed; use extends, or write the keys out")
        return key

    def _scalar(self, node: ScalarNode) -> Any:
        kind, text = node.tag.removeprefix(_TAG), node.value
        if kind in ("int", "float") and len(text) > MAX_DIGITS:
            raise self._error(node, f"a number of more than {MAX_DIGITS} characters")
        return _SCALARS[kind](text)

    def _place(self, node: Node) -> str:
        return self.place(node.start_mark.line + 1)

    def _error(self, node: Node, problem: str) -> ConfigError:
        return ConfigError([f"{self._place(node)}: {problem}"])


def _int(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, Callable[[str], Any]] = {
    "bool": lambda text: text.lower() == "true",
    "null": lambda text: None,
    "int": _int,
    "float": _float,
    "str": str,
}
