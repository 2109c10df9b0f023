"""The benchmark's arithmetic: turns, medians, ratios, verdicts and tables. No time is asserted."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bench.cases import Case, Shape
from bench.record import Record
from bench.table import cell, table
from bench.timing import Engine, Plan, Sample, best, interleave, ratio

SHORT = Plan(rounds=3, seconds=0, pause=0)


def counted(name: str, seconds: list[float]) -> Engine:
    """An engine that says itself how long each of its calls took."""
    left = iter(seconds)
    spent = [math.nan]

    def call() -> None:
        spent[0] = next(left)

    return Engine(name, call, inner=lambda: spent[0])


def test_sample() -> None:
    sample = Sample((5.0, 1.0, 3.0))
    assert (sample.median, sample.least) == (3.0, 1.0)


def test_ratio_pairs_the_rounds() -> None:
    # the second round is ten times slower for both; the ratio of the medians would be 2.5
    ours, theirs = Sample((1.0, 10.0, 1.0)), Sample((4.0, 40.0, 2.5))
    assert ratio(ours, theirs) == 4.0


@pytest.mark.parametrize("pair", [(None, Sample((1.0,))), (Sample((1.0,)), None)])
def test_ratio_of_something_missing(pair: tuple[Sample | None, Sample | None]) -> None:
    assert ratio(*pair) is None


def test_best_ignores_what_was_not_measured() -> None:
    samples = {"a": Sample((2.0, 3.0, 9.0)), "b": Sample((1.0, 4.0, 4.0))}
    assert best(samples, ["a", "b", "absent"]) == "a"
    assert best(samples, ["absent"]) is None


def test_turns_use_the_engines_own_count() -> None:
    # two calls to choose the number of calls, then in each round one uncounted and one counted
    engines = [counted("a", [9, 9, 9, 1, 9, 2, 9, 3]), counted("b", [9, 9, 9, 4, 9, 5, 9, 6])]
    samples = interleave(engines, SHORT)
    assert {name: sample.rounds for name, sample in samples.items()} == {"a": (1, 2, 3), "b": (4, 5, 6)}


def test_every_engine_runs_in_every_round() -> None:
    order: list[str] = []
    engines = [Engine(name, partial(order.append, name)) for name in "abc"]
    samples = interleave(engines, SHORT)
    assert all(len(sample.rounds) == SHORT.rounds for sample in samples.values())
    turns = order[6:]  # behind the choice of the number of calls
    for start in range(0, len(turns), 6):
        assert set(turns[start : start + 6]) == set("abc")


@pytest.mark.parametrize(
    ("off", "tolerance", "verdict"),
    [
        (0.0, 0.0, "exact"),
        (0.5, 1.0, "within 0.5"),
        (2.0, 0.0, "WRONG by 2"),
        (math.nan, 1.0, "WRONG by nan"),
    ],
)
def test_verdict(off: float, tolerance: float, verdict: str) -> None:
    engine = Engine("e", lambda: None, deviation=lambda: off, tolerance=tolerance)
    assert engine.verdict() == verdict


def test_unchecked() -> None:
    assert Engine("e", lambda: None).verdict() == "unchecked"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("x", "x"),
        (1234567, "1,234,567"),
        (1234.6, "1,235"),
        (0.12345, "0.123"),
        (12.345, "12.35"),
    ],
)
def test_cell(value: str | float | int | None, text: str) -> None:
    assert cell(value) == text


def test_table_drops_empty_columns_and_aligns() -> None:
    rows = [{"name": "a", "gone": None, "ms": 1.5}, {"name": "long", "gone": None, "ms": 200.0}]
    assert table(rows, left=("name",)).splitlines() == [
        "name     ms",
        "───────────",
        "a      1.50",
        "long  200.0",
    ]


def test_table_of_nothing() -> None:
    assert table([]).strip() == ""


def test_truth_counts_only_taps_inside() -> None:
    case = Case(Shape("tiny", 2, 3, 4, 3), 2)
    padded = np.pad(case.x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    at = [padded[:, :, i : i + 4, j : j + 4] for i in range(3) for j in range(3)]
    taps = case.w.reshape(3, 2, 9)
    expected = sum(np.einsum("nihw,oi->nohw", x, taps[:, :, k]) for k, x in enumerate(at))
    assert case.deviation(np.asarray(expected)) == 0
    assert case.deviation(np.asarray(expected) + 1) == 1
    assert case.macs == 2 * 3 * 2 * 9 * 16


def test_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = Record()
    record.add("Title", [{"a": 1}], notes=["note"], samples={"row": {"engine": Sample((1.0, 2.0))}})
    record.write(tmp_path / "out.json")
    assert "Title" in capsys.readouterr().out
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert {"date", "command", "machine", "versions", "wrong"} <= set(found)
    assert found["sections"] == [
        {"title": "Title", "rows": [{"a": 1}], "notes": ["note"], "seconds": {"row": {"engine": [1.0, 2.0]}}}
    ]
