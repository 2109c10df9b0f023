"""The house's rules that a machine can check: which way imports go, and what no file may contain."""

from __future__ import annotations

import ast
import re
import statistics
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from architecture import (
    NAMES,
    compares_an_axis,
    defined,
    forbidden,
    imports,
    names_a_method,
    own_imports,
    riddles,
    used,
)

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "bnn_train"

# Imports go down this list, never up or sideways. A file at the top of the package stands by its own name.
STAGES: tuple[set[str], ...] = (
    {"", "errors", "compat", "launch"},
    {"aligned", "colours", "files", "memory", "spec", "world"},
    {"packed"},
    {"config"},
    {"data"},
    {"binary"},
    {"models"},
    {"inspect"},
    {"report"},
    {"training"},
    {"check", "export", "prediction", "sweep"},
    {"cli"},
    {"__main__", "api"},
)
STAGE = {name: number for number, names in enumerate(STAGES) for name in names}
TORCH = {"torch", "torchvision"}
NAMELESS = ("binary", "models", "data", "inspect", "report", "training", "check", "export")
MAX_LINES, MEDIAN_FUNCTION = 300, 10
HOOKS = {"emit", "ignore_aliases", "is_leaf_module", "model_config", "yaml_implicit_resolvers"}
"""Names that a library looks for."""


def name_of(path: Path) -> str:
    """``bnn_train/config/merge.py`` → ``config.merge``; the package itself is ``""``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}

SCRIPTS = [ast.parse(path.read_text()) for path in sorted((ROOT / "scripts").rglob("*.py"))]


def room(module: str) -> str:
    """The folder, or the file at the top of the package, that a module is in."""
    return module.partition(".")[0]


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


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    foreign = {name for name in own_imports(MODULES[module], set(MODULES)) if room(name) != room(module)}
    assert {name for name in foreign if STAGE[room(name)] >= STAGE[room(module)]} == set()


def test_no_cycles() -> None:
    graph = {name: own_imports(tree, set(MODULES)) - {name} for name, tree in MODULES.items()}
    list(TopologicalSorter(graph).static_order())


def test_config_needs_no_torch() -> None:
    reached = set().union(*(closure(name) for name in MODULES if room(name) in {"config", "spec"}))
    heavy = {
        name for name in reached if any(full.partition(".")[0] in TORCH for full in imports(MODULES[name]))
    }
    assert "config.schema" in reached
    assert heavy == set()


def test_packed_networks_need_no_torch() -> None:
    reached = set().union(*(closure(name) for name in MODULES if room(name) == "packed"))
    outside = {full.partition(".")[0] for name in reached for full in imports(MODULES[name])}
    assert {"packed.runtime", "packed.reference.engine", "packed.container"} <= reached
    assert outside & (TORCH | {"yaml", "tqdm", "sklearn", "scipy", "tensorboard", "safetensors"}) == set()


@pytest.mark.parametrize("module", MODULES)
def test_nothing_forbidden(module: str) -> None:
    assert list(forbidden(MODULES[module])) == []


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith(NAMELESS)])
def test_no_branch_on_a_methods_name(module: str) -> None:
    assert list(names_a_method(MODULES[module])) == []


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) != "spec"])
def test_no_axis_is_compared_with_a_word(module: str) -> None:
    """Options are asked, each in its own file in ``spec``: a word that only some files know fails late."""
    assert list(compares_an_axis(MODULES[module])) == []


@pytest.mark.parametrize(
    "source",
    [
        "if layer.method.weight.quantizer == 'ternary': pass",
        "x = spec.scale.kind != 'none'",
        "SIGNS = ('sign', 'stochastic_sign')\nx = m.activation.quantizer in SIGNS",
        "block.order == 'bn-act-conv-pool'",
        "method.norm.kind == 'shift'",
        "m.weight.estimator.name == 'clip'",
    ],
)
def test_a_comparison_with_an_axis_is_seen(source: str) -> None:
    assert list(compares_an_axis(ast.parse(source)))


@pytest.mark.parametrize(
    "path",
    sorted([*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_no_public_name_is_unused() -> None:
    """A name that only tests know is dead, too."""
    read = {name for tree in (*MODULES.values(), *SCRIPTS) for name in used(tree)}
    assert {name for tree in MODULES.values() for name in defined(tree)} - read - HOOKS == set()


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_say_what_a_thing_is(module: str) -> None:
    assert list(riddles(MODULES[module])) == []


def test_those_of_scripts_do_likewise() -> None:
    assert [line for tree in SCRIPTS for line in riddles(tree)] == []


ROOMS = "|".join(sorted({room(name) for name in MODULES} - {""}))
PLACE = re.compile(rf"(?<![\w/.])(?:bnn_train/)?((?:{ROOMS})/[\w/]+(?:\.\w+)?)")


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_point_to_files_that_exist(module: str) -> None:
    texts = [node.value for node in ast.walk(MODULES[module]) if isinstance(node, ast.Constant)]
    places = {place.rstrip("/") for text in texts if isinstance(text, str) for place in PLACE.findall(text)}
    places = {
        place for place in places if Path(place).suffix in ("", ".py", ".md")
    }  # others' code has its own
    missing = [p for p in places if not any((PACKAGE / f"{p}{end}").exists() for end in ("", ".py"))]
    assert missing == []


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
        "TABLE[self.method.name]",
        "method.name == kind",
    ],
)
def test_a_branch_on_a_method_is_seen(source: str) -> None:
    assert list(names_a_method(ast.parse(source)))


def test_an_axis_is_no_method() -> None:
    assert not list(names_a_method(ast.parse("if method.output_scale == 'xnor_k': pass")))
    assert len(NAMES) > 10


def test_an_import_is_seen_wherever_it_stands() -> None:
    tree = ast.parse("def f():\n    from bnn_train.models import build\nimport bnn_train.spec.datasets as c")
    known = {"", "models", "spec", "spec.datasets"}
    assert own_imports(tree, known) == {"models", "spec.datasets"}
