"""Lines of product code per method, against lines counted another way."""

from __future__ import annotations

import ast
import inspect

import method_lines
from bnn_train.binary.quantizers.heaviside import Heaviside
from bnn_train.spec.methods import ENTRIES
from definitions import Part, counted, found, module, used


def bare(thing: type) -> int:
    """Lines of a class's source without docstrings, comments and blank ones: unparsed, but as laid out."""
    text = inspect.getsource(thing)
    told: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            told |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    lines = enumerate(text.splitlines(), start=1)
    return sum(bool(line.split("#")[0].strip()) and number not in told for number, line in lines)


def test_a_class_counts_without_its_documentation() -> None:
    path = Heaviside.__module__
    code, told = counted([Part(path, module(path).definitions["Heaviside"])])
    assert len(code) == bare(Heaviside) == 5
    assert len(told) == 2


def test_names_are_followed_through_imports_but_not_annotations() -> None:
    path = Heaviside.__module__
    parts = used(Part(path, module(path).definitions["Heaviside"]), ("bnn_train.spec", "bnn_train.binary"))
    assert {part.module for part in parts} == {
        "bnn_train.spec.quantizers_spikes",
        "bnn_train.binary.quantizers.base",
        "bnn_train.binary.sign",
    }
    assert found(path, "Code", ("bnn_train.binary",)) is None


def test_a_row_brings_in_what_nobody_had_before() -> None:
    rows = method_lines.brought()
    assert set(rows) == {name for name, entry in ENTRIES.items() if entry.parent}
    assert rows["eedn"].new == ("Hysteresis", "Heaviside", "Triangle", "Spikes")
    assert rows["bnn_stochastic"].new == ()
    assert len(rows["bnn_stochastic"].axes) == 0
    first = [line for row in rows.values() for line in row.row | row.axes]
    assert len(first) == len(set(first))


def test_what_a_function_names_itself_is_no_definition() -> None:
    """`Standardize` has a local `deviation`, and beside it stands a function of that name."""
    path = "bnn_train.binary.pre"
    part = Part(path, module(path).definitions["Standardize"])
    assert "deviation" in module(path).definitions
    assert "Pre" in (names := {getattr(one.node, "name", "") for one in used(part, ("bnn_train.binary",))})
    assert "deviation" not in names


def test_facts_of_the_paper_are_no_code() -> None:
    """TWN's row: a method of five lines; around it an entry whose lines are counted apart."""
    row = method_lines.brought()["twn"]
    assert (len(row.row), len(row.paper)) == (5, 11)
    assert not row.paper & (row.row | row.axes)
    assert row.all == len(row.row) + len(row.axes) + len(row.paper) + len(row.told)
