"""The house's rules that a machine can check: which way imports go, and what no file may contain."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from bnn_train.binary.methods import METHODS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "bnn_train"

# Who may import whom. A module belongs to the longest name here that it starts with.
ROWS = {"binary.spec", "binary.methods", "data.catalog", "models.catalog"}
COMMON = {"errors", "record"}
ALLOWED: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "record": set(),
    "compat": {"errors"},
    "binary.spec": {"record"},
    "binary.methods": {"binary.spec"},
    "data.catalog": {"record"},
    "models.catalog": {"record"},
    "config": {"", *ROWS, *COMMON},
    "binary": {"binary.spec", "binary.methods", *COMMON},
    "models": {"models.catalog", "binary", "binary.spec", "binary.methods", *COMMON},
    "data": {"data.catalog", "config", "compat", *COMMON},
    "report": {"", "config", "binary", "binary.spec", "data.catalog", *COMMON},
    "training": {"", "config", "data", "models", "binary", "report", *ROWS, *COMMON},
    "cli": {"", "config", "data", "models", "binary", "report", "training", "compat", *ROWS, *COMMON},
}
TORCH = {"torch", "torchvision"}
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
NAMELESS = ("binary", "models", "data", "training", "report")
MAX_LINES, MEDIAN_FUNCTION = 300, 10


def name_of(path: Path) -> str:
    """``bnn_train/config/merge.py`` → ``config.merge``; the package itself is ``""``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


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


def layer(module: str) -> str:
    """The entry of the table that a module falls under."""
    while module not in ALLOWED:
        module = module.rpartition(".")[0]
    return module


def closure(module: str) -> set[str]:
    """Every module that importing ``module`` executes, packages on the way included."""
    done: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name not in done and name in MODULES:
            done.add(name)
            todo += [*own_imports(MODULES[name], set(MODULES)), name.rpartition(".")[0]]
    return done


def forbidden(tree: ast.AST) -> Iterator[str]:
    """What could run foreign code, read foreign objects, or vanish under ``python -O``."""
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


def names_a_method(tree: ast.AST) -> Iterator[int]:
    """Lines that compare with, match, or look up by the name of a row of METHODS."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            if len(method_names(*filter(None, node.keys))) > 1:
                yield node.lineno
        elif method_names(*compared(node)):
            yield getattr(node, "lineno", 0)


def compared(node: ast.AST) -> list[ast.expr]:
    """What a node tests for equality, membership or a prefix."""
    match node:
        case ast.Compare(left=left, comparators=others):
            return [left, *others]
        case ast.MatchValue(value=value):
            return [value]
        case ast.Call(func=ast.Attribute(attr="startswith" | "endswith"), args=args):
            return args
    return []


def method_names(*nodes: ast.AST) -> list[str]:
    constants = (inner for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Constant))
    return [c.value for c in constants if isinstance(c.value, str) and c.value in METHODS]


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    own = layer(module)
    foreign = {name for name in own_imports(MODULES[module], set(MODULES)) if layer(name) != own}
    assert {name for name in foreign if layer(name) not in ALLOWED[own]} == set()


def test_no_cycles() -> None:
    graph = {name: own_imports(tree, set(MODULES)) - {name} for name, tree in MODULES.items()}
    list(TopologicalSorter(graph).static_order())


def test_config_needs_no_torch() -> None:
    reached = set().union(*(closure(name) for name in MODULES if layer(name) in {"config", *ROWS}))
    heavy = {
        name for name in reached if any(full.partition(".")[0] in TORCH for full in imports(MODULES[name]))
    }
    assert "config.schema" in reached
    assert heavy == set()


@pytest.mark.parametrize("module", MODULES)
def test_nothing_forbidden(module: str) -> None:
    assert list(forbidden(MODULES[module])) == []


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith(NAMELESS)])
def test_no_branch_on_a_methods_name(module: str) -> None:
    assert list(names_a_method(MODULES[module])) == []


@pytest.mark.parametrize(
    "path",
    sorted([*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_functions_are_short() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for tree in MODULES.values() for node in ast.walk(tree) if isinstance(node, kinds)]
    lengths = [(node.end_lineno or node.lineno) - node.lineno + 1 for node in functions]
    assert statistics.median(lengths) <= MEDIAN_FUNCTION


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import importlib.util",
        "from . import sibling",
        "from ..config import schema",
        "assert x > 0",
        "torch.load(path)",
        "eval(text)",
        "exec(text)",
        "yaml.load(text, Loader=L)",
        "os.system(command)",
        "archive.extractall(folder)",
        "subprocess.run(command, shell=True)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_ban_sees(source: str) -> None:
    assert list(forbidden(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "import importlib.metadata",
        "model.eval()",
        "re.compile(text)",
        "yaml.safe_load(t)",
        "run(c, shell=False)",
    ],
)
def test_the_ban_spares(source: str) -> None:
    assert not list(forbidden(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "if method.name == 'xnor': pass",
        "if 'bnn' != name: pass",
        "x = name in ('bc', 'bwn')",
        "name.startswith('bc')",
        "match name:\n    case 'xnor': pass",
        "{'bc': f, 'bnn': g}[name]",
    ],
)
def test_a_branch_on_a_method_is_seen(source: str) -> None:
    assert list(names_a_method(ast.parse(source)))


def test_an_import_is_seen_wherever_it_stands() -> None:
    tree = ast.parse("def f():\n    from bnn_train.models import build\nimport bnn_train.data.catalog as c")
    known = {"", "models", "data", "data.catalog"}
    assert own_imports(tree, known) == {"models", "data.catalog"}
