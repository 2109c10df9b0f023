"""The files that scripts/reproduce.py writes: its tables, curves and published sections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bnn_train.errors import RunError
from outcome_samples import outcome, outcomes_of
from reproduction.curves import curve_of, curves
from reproduction.plans import Options, planned
from reproduction.publish import published
from reproduction.results import markdown, row_result, table_result
from reproduction.tables import chosen, table_of

OPTIONS = Options(out=Path("out"))


def section(score: float) -> dict[str, Any]:
    table = table_of("mnist-one-protocol")
    options = Options(out=Path("o"), fast=5)
    plan = planned(table.rows[0], options)
    return table_result(table, [row_result(plan, outcomes_of(score, score + 1))], options)


def test_every_line_says_that_it_was_cut() -> None:
    text = markdown(section(97.0))
    assert "**Cut to at most 5 epochs, schedules moved along.**" in text
    assert "| `fp_mlp` | 98.81 | ±0.2 | 97.50 ± 0.71 | 2 | −1.31 | 5 of 50 | 1.0 | not comparable" in text
    assert (
        "`mnist-one-protocol`, 2026-01-02, a CPU, 2 threads, 2.0 min of training, revision abc; torch 2.x;"
        " reported epoch: validation."
    ) in text
    assert "bnn-train --config configs/mnist/fp_mlp.yaml --set training.epochs=5" in text


def test_curves_stand_at_round_epochs_and_at_the_last() -> None:
    """Accuracy becomes error, shares become per cent; a row with fewer epochs leaves cells empty."""
    long = [{"epoch": n, "validation_top1": 100 - 10 / n, "flip_rate": 1 / n} for n in range(1, 13)]
    short = [{"epoch": 1, "validation_top1": 90.0, "flip_rate": None}]
    rows = [{"row": name, "curve": curve_of(h)} for name, h in (("a", long), ("b", short))]
    assert curves(rows)[0].splitlines() == [
        "| first seed, epoch | 1 | 2 | 3 | 5 | 7 | 10 | 12 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| `a`, validation error % | 10.00 | 5.00 | 3.33 | 2.00 | 1.43 | 1.00 | 0.83 |",
        "| `b`, validation error % | 10.00 |  |  |  |  |  |  |",
        "| `a`, flips % of the weights | 100.00 | 50.00 | 33.33 | 20.00 | 14.29 | 10.00 | 8.33 |",
    ]
    assert curves([{"row": "c", "curve": curve_of([])}]) == []


def test_publishing_replaces_the_tables_own_section_alone(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text(published(path, section(90.0)))
    path.write_text(published(path, section(91.0) | {"table": "another"}))
    both = path.read_text()
    assert both.startswith("# Results")
    path.write_text(published(path, section(92.0)))
    text = path.read_text()
    assert ("90.50" in both, "90.50" in text) == (True, False)
    assert text.index("92.50") < text.index("91.50")
    assert text == both.replace("90.50", "92.50").replace("−8.31", "−6.31")


def test_a_section_of_its_own_for_a_cut_table(tmp_path: Path) -> None:
    """Full and cut results stand beside each other."""
    path = tmp_path / "RESULTS.md"
    path.write_text(published(path, section(90.0)))
    path.write_text(published(path, section(91.0) | {"fast": None}))
    text = path.read_text()
    assert "<!-- table mnist-one-protocol fast5 -->" in text
    assert "<!-- table mnist-one-protocol -->" in text


def test_publishing_loses_no_number(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    plans = [planned(row, OPTIONS) for row in table_of("mnist-one-protocol").rows[:2]]
    both, one = (
        table_result(
            table_of("mnist-one-protocol"),
            [row_result(plans[0], outcomes_of(98.0)), row_result(plans[1], second)],
            OPTIONS,
        )
        for second in (outcomes_of(98.0), {})
    )
    path.write_text(published(path, one))
    assert "| `bc_mlp` | 98.72 | ±0.2 |  | 0 |" in path.read_text()
    path.write_text(published(path, both))
    with pytest.raises(RunError, match="has numbers for bc_mlp, which --out does not hold"):
        published(path, one)
    path.write_text(path.read_text().replace("<!-- end of", "<!-- fin of"))
    with pytest.raises(RunError, match="the line '<!-- end of mnist-one-protocol -->' is missing"):
        published(path, both)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="is not UTF-8 text"):
        published(path, both)


def test_what_made_the_runs_is_told_of_the_runs() -> None:
    """Two machines, two days, two revisions; a GPU that a run did not use is not named."""
    plan = planned(chosen(table_of("mnist-one-protocol"), "bnn_mlp")[0], OPTIONS)
    gpu = {"cpu": "b CPU", "threads": 1, "gpus": ["a GPU"]}
    found = {
        1: outcome(98.0, machine=gpu, config={"run": {"device": "cpu"}}, date="2026-01-03", commit="def"),
        2: outcome(98.0, machine=gpu),
    }
    text = markdown(table_result(table_of("mnist-one-protocol"), [row_result(plan, found)], OPTIONS))
    assert (
        "2026-01-02–2026-01-03, b CPU, 1 thread / a GPU, b CPU, 1 thread, 2.0 min of training,"
        " revision def / abc;"
    ) in text
