"""Searches of a module's syntax tree, for the architecture's tests."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any, TypeGuard, get_args

from pydantic import BaseModel

from bnn_train.spec.annealed import Curve
from bnn_train.spec.method import Method
from bnn_train.spec.methods import ENTRIES, METHODS
from bnn_train.spec.networks import NETWORKS

BANNED_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "importlib",
}
HARMLESS = ("importlib.metadata", "importlib.resources")
BANNED_NAMES = {"eval", "exec", "compile", "__import__"}
BANNED_CALLS = {
    ("torch", "load"),
    ("torch", "save"),
    ("yaml", "load"),
    ("yaml", "load_all"),
    ("yaml", "full_load"),
    ("yaml", "unsafe_load"),
    ("os", "system"),
    ("os", "popen"),
}
AXIS_VALUES = json.dumps(Method.model_json_schema())
TRAINERS = {name for entry in ENTRIES.values() for name in (entry.trainer, entry.optimizer)}
NAMES = {name for name in METHODS if f'"{name}"' not in AXIS_VALUES} - NETWORKS.keys() - TRAINERS
"""`xnor_k` is a scale as well, `quicknet` a network, `rsgd` an optimizer."""


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of what a module imports, at its top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def own_imports(tree: ast.AST, modules: set[str]) -> set[str]:
    """The modules of the package among the imports: ``bnn_train.a.b.c`` → the longest known of them."""
    found = set()
    for full in imports(tree):
        if full == "bnn_train" or full.startswith("bnn_train."):
            name = full.removeprefix("bnn_train").lstrip(".")
            while name and name not in modules:
                name = name.rpartition(".")[0]
            found.add(name)
    return found


def forbidden(tree: ast.AST) -> Iterator[str]:
    """Uses that could run foreign code, read foreign objects, or vanish under ``python -O``."""
    for name in imports(tree):
        if name.partition(".")[0] in BANNED_MODULES and not name.startswith(HARMLESS):
            yield f"imports {name}"
    yield from (f"imports {name} relatively" for name in imports(tree) if name.startswith("."))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"line {node.lineno}: assert"
        elif isinstance(node, ast.Call):
            yield from (f"line {node.lineno}: {what}" for what in forbidden_call(node))


def forbidden_call(node: ast.Call) -> Iterator[str]:
    match node.func:
        case ast.Name(id=name) if name in BANNED_NAMES:
            yield f"{name}()"
        case ast.Attribute(value=ast.Name(id=owner), attr=attr) if (owner, attr) in BANNED_CALLS:
            yield f"{owner}.{attr}()"
        case ast.Attribute(attr="extractall"):
            yield "extractall()"
    for word in node.keywords:
        if word.arg in {"shell", "allow_pickle"} and not (
            isinstance(word.value, ast.Constant) and word.value.value is False
        ):
            yield f"{word.arg}="


def axes(section: type[BaseModel] = Method) -> tuple[set[str], set[str]]:
    """The keys of a method's sections, and the words that may stand there."""
    keys, words = set[str](), set[str]()
    for name, field in section.model_fields.items():
        parts = list(flat(field.annotation))
        own = {word for word in parts if isinstance(word, str)}
        kinds = [kind for kind in parts if isinstance(kind, type) and issubclass(kind, BaseModel)]
        keys |= {name} if own or kinds else set()
        words |= own
        for kind in kinds:
            inner = axes(kind)
            keys, words = keys | inner[0], words | inner[1]
    return keys - {"name", "paper", "kind", *Curve.model_fields}, words


def flat(annotation: Any) -> Iterator[Any]:
    """The types and words inside unions, tuples and literals."""
    yield annotation
    for argument in get_args(annotation):
        yield from flat(argument)


AXES, WORDS = axes()


def compares_an_axis(tree: ast.AST) -> Iterator[int]:
    """Lines that compare an axis of a method, or the name of what stands there, with one of its words."""
    tuples = {name: found for node in ast.walk(tree) for name, found in named_words(node)}
    for node in ast.walk(tree):
        parts = [part for side in compared(node) for part in ast.walk(side)]
        found = {word for part in parts for word in words(part)}
        found |= {word for part in parts if isinstance(part, ast.Name) for word in tuples.get(part.id, ())}
        if found & WORDS and any(is_axis(part) for part in parts):
            yield getattr(node, "lineno", 0)


def named_words(node: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """Tuples of words that have a name."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple | ast.Set | ast.List):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, words(node.value)


def is_axis(part: ast.AST) -> bool:
    """``spec.quantizer``, or ``norm.kind``: other things have kinds, too."""
    match part:
        case ast.Attribute(attr="kind", value=ast.Attribute(attr="norm" | "scale")):
            return True
        case ast.Attribute(attr=attr):
            return attr in AXES
    return False


def words(node: ast.AST) -> list[str]:
    """The strings inside an expression."""
    parts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return [part for part in parts if isinstance(part, str)]


def names_a_method(tree: ast.AST) -> Iterator[int]:
    """Lines that compare with, match, or look up by the name of a row of METHODS."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            if len(method_names(*filter(None, node.keys))) > 1:
                yield node.lineno
        elif method_names(*compared(node)):
            yield getattr(node, "lineno", 0)


def compared(node: ast.AST) -> list[ast.expr]:
    """The operands that a node tests for equality, membership or a prefix."""
    match node:
        case ast.Compare(left=left, comparators=others):
            return [left, *others]
        case ast.MatchValue(value=value):
            return [value]
        case ast.Call(func=ast.Attribute(attr="startswith" | "endswith"), args=args):
            return args
        case ast.Subscript(slice=key) if not isinstance(key, ast.Constant):
            return [key]
    return []


def method_names(*nodes: ast.AST) -> list[str]:
    """Names of methods, and ``method.name`` itself, inside expressions."""
    found = []
    for inner in (inner for node in nodes for inner in ast.walk(node)):
        match inner:
            case ast.Constant(value=str(value)) if value in NAMES:
                found.append(value)
            case ast.Attribute(value=ast.Name(id="method") | ast.Attribute(attr="method"), attr="name"):
                found.append("method.name")
    return found


def defined(tree: ast.Module) -> Iterator[str]:
    """Public names of a module and of its classes: functions, classes, constants, fields."""
    todo: list[ast.stmt] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
            todo += node.body if isinstance(node, ast.ClassDef) else []
        else:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = [name.id for target in targets if target for name in ast.walk(target) if is_stored(name)]
        yield from (name for name in names if not name.startswith("_"))


def is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def used(tree: ast.AST) -> Iterator[str]:
    """Every name that a module reads, as a variable, an attribute, a keyword or a word in quotes."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.Constant(value=str(name)):
                yield name


def riddles(tree: ast.AST) -> Iterator[str]:
    """Docstrings that begin with a question word and leave the reader to find the noun."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))) if text.startswith(("What ", "Which ")):
                yield text.partition("\n")[0]
