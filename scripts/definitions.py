"""Top-level definitions of the package's modules: their lines of code, and which of them each one uses."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
Lines = frozenset[tuple[str, int]]
"""Lines of files, as (module, number)."""


@dataclass(frozen=True)
class Part:
    """A piece of a module: a definition, or an expression inside one."""

    module: str
    node: ast.AST

    @property
    def lines(self) -> range:
        """The numbers of its lines, decorators among them."""
        first = min(
            node.lineno for node in (self.node, *getattr(self.node, "decorator_list", ())) if _placed(node)
        )
        return range(first, (getattr(self.node, "end_lineno", None) or first) + 1)


def _placed(node: ast.AST) -> bool:
    return hasattr(node, "lineno")


def file_of(name: str) -> Path | None:
    """The file of a module or package; None where there is none."""
    path = ROOT.joinpath(*name.split("."))
    choices = (path.with_suffix(".py"), path / "__init__.py")
    return next((choice for choice in choices if choice.is_file()), None)


class Module:
    """A module's definitions and imports by name, and its lines of code and of documentation."""

    def __init__(self, name: str) -> None:
        path = file_of(name)
        if path is None:
            raise ValueError(f"no module {name}")
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        self.name = name
        self.definitions: dict[str, ast.stmt] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        for statement in tree.body:
            self._take(statement)
        strings = [n.value for n in ast.walk(tree) if isinstance(n, ast.Expr) and _is_text(n.value)]
        spans = [range(s.lineno, (s.end_lineno or s.lineno) + 1) for s in strings]
        self.told = {line for span in spans for line in span}
        self.code = {line for line in _code_lines(text) if line not in self.told}

    def _take(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            self.definitions[statement.name] = statement
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            for one in statement.names:
                self.imports[one.asname or one.name] = (statement.module, one.name)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = (node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
            self.definitions |= {node.id: statement for node in names}


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _code_lines(text: str) -> Iterator[int]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SILENT:
            yield from range(token.start[0], token.end[0] + 1)


def value_of(statement: ast.stmt) -> ast.expr:
    """The right side of an assignment."""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        return statement.value
    raise ValueError(f"line {statement.lineno}: no value is assigned here")


@cache
def module(name: str) -> Module:
    """A module by its dotted name, read once."""
    return Module(name)


def found(name: str, label: str, folders: tuple[str, ...]) -> Part | None:
    """The definition behind a name of a module, through imports; None outside the folders."""
    if not name.startswith(folders) or file_of(name) is None:
        return None
    own = module(name)
    if label in own.definitions:
        return Part(name, own.definitions[label])
    return found(*own.imports[label], folders) if label in own.imports else None


def used(part: Part, folders: tuple[str, ...]) -> Iterator[Part]:
    """The definitions that a piece uses when it runs; annotations do not."""
    imports = module(part.module).imports
    own = _own_names(part.node)
    for node in _running(part.node):
        one = None
        if isinstance(node, ast.Name) and node.id not in own:
            one = found(part.module, node.id, folders)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            package, label = imports.get(node.value.id, ("", ""))
            one = found(f"{package}.{label}", node.attr, folders) if label else None
        if one is not None:
            yield one


def _own_names(node: ast.AST) -> set[str]:
    """Names that a function or class assigns itself or takes as arguments: no definitions of the module's."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return set()
    inner = list(ast.walk(node))
    arguments = {one.arg for one in inner if isinstance(one, ast.arg)}
    return arguments | {o.id for o in inner if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Store)}


def _running(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    skipped = {"annotation", "returns"}
    for field, value in ast.iter_fields(node):
        if field not in skipped:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _running(child)


def reached(starts: Iterator[Part], folders: tuple[str, ...], known: set[Part]) -> list[Part]:
    """The pieces, and all that they use, without those known before; those are known from now on."""
    fresh: list[Part] = []
    waiting = list(starts)
    while waiting:
        part = waiting.pop(0)
        if part not in known:
            known.add(part)
            fresh.append(part)
            waiting += used(part, folders)
    return fresh


def counted(parts: list[Part]) -> tuple[Lines, Lines]:
    """Lines of code of some pieces, and lines of documentation in them."""
    code, told = set(), set()
    for part in parts:
        own = module(part.module)
        code |= {(part.module, line) for line in part.lines if line in own.code}
        told |= {(part.module, line) for line in part.lines if line in own.told}
    return frozenset(code), frozenset(told)
