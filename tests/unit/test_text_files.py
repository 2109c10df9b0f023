"""No text file and no text pipe of the product is in whatever encoding the locale has."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from text_files import without_encoding

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "bnn_train").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")])
COMMANDS = [path for path in SOURCES if "def main(" in path.read_text(encoding="utf-8")]
QUIET = {"build.py", "worker.py"}
"""They print ASCII, to other programs or before there is anything to import."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_encoding_is_named(path: Path) -> None:
    assert list(without_encoding(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "path", [path for path in COMMANDS if path.name not in QUIET], ids=lambda path: path.name
)
def test_a_command_makes_its_streams_safe_before_anything_else(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    main = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    assert ast.unparse(main.body[1]) == "terminal.prepare()"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("open(p)", True),
        ("open(p, 'rb')", False),
        ("open(p, mode='wb')", False),
        ("p.open('a')", True),
        ("p.open('wb')", False),
        ("p.read_text()", True),
        ("(a / b).write_text(x, encoding='utf-8')", False),
        ("subprocess.run(c, text=True)", True),
        ("subprocess.run(c, capture_output=True)", False),
        ("os.open(p, os.O_RDONLY)", False),
        ("tempfile.NamedTemporaryFile('w')", True),
        ("tempfile.NamedTemporaryFile()", False),
        ("raw.decode('utf-8')", False),
    ],
)
def test_the_test_itself(source: str, found: bool) -> None:
    assert bool(list(without_encoding(ast.parse(source)))) == found
