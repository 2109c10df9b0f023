"""What a module's syntax tree tells of the text files and text pipes it opens."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_METHODS = {"open", "read_text", "write_text"}
_PIPES = {"run", "Popen", "check_output"}
_TEXT = {"text", "universal_newlines"}
_NOT_TEXT = {("os", "open"), ("Image", "open")}


def without_encoding(tree: ast.AST) -> Iterator[int]:
    """Lines of the calls that would read or write text in whatever encoding the locale has."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_text(node) and "encoding" not in _keywords(node):
            yield node.lineno


def _keywords(call: ast.Call) -> dict[str | None, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords}


def _is_text(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "open" and "b" not in _mode(call, 1)
    if not isinstance(function, ast.Attribute):
        return False
    if function.attr in _PIPES:
        return bool(_TEXT & _keywords(call).keys())
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if function.attr not in _METHODS or (owner, function.attr) in _NOT_TEXT or owner == "self":
        return False
    return function.attr != "open" or "b" not in _mode(call, 0)


def _mode(call: ast.Call, position: int) -> str:
    """The mode, as far as it is written out."""
    given = _keywords(call).get("mode") or next(iter(call.args[position:]), None)
    return given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else "r"
