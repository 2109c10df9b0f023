"""The text files and text pipes that a module opens, found in its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_MODE = {"open": ("r", 0), "NamedTemporaryFile": ("w+b", 0), "TemporaryFile": ("w+b", 0), "fdopen": ("r", 1)}
"""Functions and methods that take a mode: its default, and where among the arguments it stands."""
_TEXT = {"read_text", "write_text"}
_PIPES = {"run", "Popen", "check_output"}
_NO_FILES = {
    ("os", "open"),
    ("Image", "open"),
    ("tarfile", "open"),
    ("browser", "open"),
    ("target", "open"),
    ("self", "write_text"),
    ("folder", "write_text"),
}
"""Calls that are named alike and take no encoding."""


def without_encoding(tree: ast.AST) -> Iterator[int]:
    """Lines of the calls that would read or write text in whatever encoding the locale has."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_text(node) and "encoding" not in _keywords(node):
            yield node.lineno


def _keywords(call: ast.Call) -> dict[str | None, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords}


def _is_text(call: ast.Call) -> bool:
    owner, name = _named(call.func)
    if (owner, name) in _NO_FILES:
        return False
    if name in _PIPES:
        return bool({"text", "universal_newlines"} & _keywords(call).keys())
    if name not in _MODE:
        return name in _TEXT
    default, position = _MODE[name]
    given = _keywords(call).get("mode") or next(iter(call.args[position + (owner == "") :]), None)
    mode = given.value if isinstance(given, ast.Constant) else default
    return "b" not in str(mode)


def _named(function: ast.expr) -> tuple[str | None, str]:
    """The variable before the last dot (``""``: no dot; None: something longer) and the name after it."""
    if isinstance(function, ast.Name):
        return "", function.id
    if isinstance(function, ast.Attribute):
        return function.value.id if isinstance(function.value, ast.Name) else None, function.attr
    return None, ""
