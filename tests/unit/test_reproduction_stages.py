"""Rows of several trainings: each begins with the best checkpoint of the one before it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from bnn_train.config.loader import load
from reproduction import plans
from reproduction.outcomes import outcomes
from reproduction.plans import Options, digest, planned
from reproduction.runs import finish
from reproduction.shorten import shortening
from reproduction.tables import Row, Stage
from tiny_yaml import write_config

TEACHER = {"name": "distillation", "weight": {"from": 1.0, "to": 0.0, "over": 2}, "teacher": "nowhere"}
ROW = Row(
    name="student",
    config="t/student",
    stages=(
        Stage(name="real", config="t/plain", overrides=("method=fp",)),
        Stage(name="wide", config="t/plain", feeds="teacher"),
    ),
)


@pytest.fixture(autouse=True)
def _configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small configs where the script looks for them."""
    monkeypatch.setattr(plans, "ROOT", tmp_path)
    folder = tmp_path / "configs" / "t"
    folder.mkdir(parents=True)
    write_config(folder, "plain.yaml")
    write_config(folder, "student.yaml", loss={"name": "square_hinge", "terms": [TEACHER]})


def test_stages_feed_each_other(tmp_path: Path) -> None:
    plan = planned(ROW, Options(out=tmp_path / "out"))
    real, wide = plan.stages(3)
    last, folder = plan.experiment(3), tmp_path / "out/full/student"
    assert [e.run.dir for e in (real, wide, last)] == [
        str(folder / name) for name in ("seed3-real", "seed3-wide", "seed3")
    ]
    assert (real.seed, real.method.name, real.training.init_from) == (3, "fp", None)
    assert wide.training.init_from is not None
    assert wide.training.init_from.checkpoint == real.run.dir
    assert last.training.init_from is None
    assert [term.teacher and term.teacher.checkpoint for term in last.loss.terms] == [wide.run.dir]


def test_a_row_of_stages_trains_and_is_recognised(tmp_path: Path) -> None:
    plan = planned(ROW, Options(out=tmp_path / "out", fast=1))
    for experiment in (*plan.stages(1), plan.experiment(1)):
        finish(experiment)
    assert [*outcomes(plan)] == [1]
    notes = json.loads((plan.folder / "seed1" / "report.json").read_text())["notes"]
    assert "The loss has a term of distillation from bnn mlp (…/seed1-wide)." in notes
    before = (plan.folder / "seed1-wide" / "report.json").stat().st_mtime_ns
    for experiment in (*plan.stages(1), plan.experiment(1)):
        finish(experiment)
    assert (plan.folder / "seed1-wide" / "report.json").stat().st_mtime_ns == before


def test_the_digest_does_not_ask_where_stages_lie(tmp_path: Path) -> None:
    one, two = (planned(ROW, Options(out=tmp_path / name)) for name in "ab")
    assert digest(one.experiment(1)) == digest(two.experiment(1))
    assert digest(one.stages(1)[1]) == digest(two.stages(1)[1])
    assert digest(one.stages(1)[1]) != digest(one.stages(1)[0])


def test_the_command_names_every_training(tmp_path: Path) -> None:
    lines = planned(ROW, Options(out=tmp_path / "out")).command.splitlines()
    real, wide, last = [load(path, sets) for path, sets in map(parsed, lines)]
    assert (real.method.name, real.run.dir) == ("fp", "runs/t/plain-real")
    assert wide.training.init_from is not None
    assert wide.training.init_from.checkpoint == real.run.dir
    assert wide.run.dir == "runs/t/plain-wide"
    assert [term.teacher and term.teacher.checkpoint for term in last.loss.terms] == [wide.run.dir]


def parsed(line: str) -> tuple[Path, list[str]]:
    """Config and overrides of a command line of bnn-train."""
    words = shlex.split(line)
    assert words[:2] == ["bnn-train", "--config"]
    return plans.ROOT / words[2], words[4::2]


def test_annealed_numbers_are_shortened(tmp_path: Path) -> None:
    path = tmp_path / "configs" / "t" / "student.yaml"
    long: Any = load(path, ["training.epochs=20"])
    [cut] = [text for text in shortening(long, 10) if text.startswith("loss.terms=")]
    [term] = load(path, [cut]).loss.terms
    assert not isinstance(term.weight, float)
    assert term.weight.over == 1
