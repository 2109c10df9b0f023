"""Grids: their runs, names and commands; which of them are left to do; the table of the results."""

from __future__ import annotations

import csv
import json
import re
import shlex
import statistics
from pathlib import Path
from typing import Any

import pytest
import yaml

from bnn_train.cli import sweep as command
from bnn_train.cli import train
from bnn_train.config.yaml_reader import parse
from bnn_train.errors import ConfigError
from bnn_train.sweep import processes
from bnn_train.sweep.grid import Plan, override, plan
from tiny_yaml import errors, write_config


@pytest.fixture
def grid(workdir: Path) -> Path:
    """grid.yaml over the tiny config t.yaml: two methods, two rates, two seeds, one pair left out."""
    write_config(workdir)
    return write(workdir, {})


def write(folder: Path, changes: dict[str, Any]) -> Path:
    content = {
        "config": "t.yaml",
        "dir": "out",
        "set": {"training.epochs": 1},
        "grid": {"method": ["bnn", "xnor"], "optimizer.lr": [0.001, 0.01], "seed": [1, 2]},
        "skip": [{"method": "xnor", "optimizer.lr": 0.01}],
    }
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
    return path


def report(planned: Plan, name: str, top1: float) -> None:
    """As if the run had ended."""
    (run,) = [run for run in planned.runs if run.name == name]
    run.folder.mkdir(parents=True)
    history = [{"epoch": 1, "validation_top1": top1 + 1}]
    content = {
        "top1": top1,
        "bytes": 1000,
        "wall_time_s": 2.0,
        "history": history,
        "best_epoch": 1,
        "epochs": 1,
    }
    (run.folder / "report.json").write_text(json.dumps(content))


def test_runs_and_names(grid: Path) -> None:
    planned = plan(grid)
    assert [run.name for run in planned.runs] == [
        "bnn-lr0.001-seed1",
        "bnn-lr0.001-seed2",
        "bnn-lr0.01-seed1",
        "bnn-lr0.01-seed2",
        "xnor-lr0.001-seed1",
        "xnor-lr0.001-seed2",
    ]
    last = planned.runs[-1].experiment
    assert (last.method.name, last.optimizer.lr, last.seed) == ("xnor", 0.001, 2)
    assert (last.training.epochs, last.run.dir) == (1, "out/xnor-lr0.001-seed2")


def test_values_with_options_get_names_of_their_own(workdir: Path) -> None:
    write_config(workdir)
    values = [{"name": "xnor", "output_scale": "xnor_k"}, {"name": "xnor"}, "bnn"]
    grid = {"method": values, "data.augment": [[], ["pad_crop_flip"]]}
    planned = plan(write(workdir, {"grid": grid, "skip": []}))
    names = [run.name for run in planned.runs]
    assert len(set(names)) == 6
    assert all(re.fullmatch(r"[\w.+=-]+", name) for name in names)
    assert planned.runs[0].experiment.method.output_scale.name == "xnor_k"


VALUES = ["bnn", "a/b.yaml", "true", "null", "1", "", "a b", 1, 1e-7, True, None, [1], {"a": 1}]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_overrides_read_back(value: Any) -> None:
    key, _, text = override("a.b", value).partition("=")
    document = parse(text, str)
    assert document is not None
    assert (key, document.data) == ("a.b", value)


def test_printed_commands_run_as_they_are(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(grid), "--print"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    program, *arguments = shlex.split(lines[0])
    assert program == "bnn-train"
    for _ in range(2):  # the second time there is nothing left to do
        assert train.main(arguments) == 0
    (run,) = Path("out").iterdir()
    assert json.loads((run / "report.json").read_text())["epochs"] == 1
    planned = plan(grid)
    assert [processes.is_finished(one) for one in planned.runs] == [True] + 5 * [False]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"grid": {"method": ["bnn", "bnnn"]}}, "unknown method 'bnnn'"),
        ({"grid": {"optimizer.lr": [-1.0]}}, "optimizer.lr"),
        ({"grid": {}}, "grid.yaml:"),
        ({"grid": {"method": "bnn"}}, "grid.method: must be a list of values"),
        ({"gird": 1}, "gird: unknown key; a grid has config, dir, set, grid, skip"),
        ({"config": "none.yaml"}, "none.yaml"),
        ({"skip": [{"seed": 1}, {"seed": 2}]}, "grid: 0 runs"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    changes: dict[str, Any], sentence: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(workdir)
    said = errors(command.main, [str(write(workdir, changes)), "--table"], capsys, begun=False)
    assert any(sentence in line for line in said), said
    assert not Path("out").exists()


def test_a_mistake_of_all_runs_is_told_once(workdir: Path) -> None:
    write_config(workdir)
    with pytest.raises(ConfigError) as caught:
        plan(write(workdir, {"set": {"training.epochz": 1}}))
    assert len(caught.value.problems) == 1
    assert "(in bnn-lr0.001-seed1)" in caught.value.problems[0]


def test_table(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = plan(grid)
    first = {"bnn-lr0.001-seed1": 90.0, "bnn-lr0.001-seed2": 91.0, "xnor-lr0.001-seed1": 95.0}
    for name, top1 in first.items():
        report(planned, name, top1)
    assert command.main([str(grid), "--table"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "method"
    assert [row.split()[:3] for row in rows] == [
        ["xnor", "0.001", "1/2"],
        ["bnn", "0.001", "2/2"],
        ["bnn", "0.01", "0/2"],
    ]
    assert "90.50 ± 0.71" in rows[1]
    assert "| bnn | 0.001 | 2/2 | 90.50 ± 0.71 | 91.50 | 1,000 | 2 |" in Path("out/sweep.md").read_text()
    found = list(csv.DictReader(Path("out/sweep.csv").read_text().splitlines()))
    assert float(found[1]["top1_deviation"]) == pytest.approx(statistics.stdev([90, 91]))
    assert (found[1]["top1_each"], found[0]["top1_deviation"], found[2]["top1_mean"]) == ("90.0 91.0", "", "")


class Fake:
    """Stands for a process: the run ends at once, by its folder's name well or badly."""

    started: list[list[str]]

    def __init__(self, words: list[str], **named: Any) -> None:
        Fake.started.append(words)
        self._words = words
        named["stdout"].write(b"error: of this run\n")

    def wait(self) -> int:
        return 2 if any("lr0.01" in word for word in self._words) else 0


def test_a_failed_run_stops_no_other(
    grid: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Fake.started = []
    monkeypatch.setattr("bnn_train.sweep.processes.subprocess.Popen", Fake)
    assert command.main([str(grid), "--processes", "2"]) == 2
    said = capsys.readouterr().err
    assert len(Fake.started) == 6
    assert "--resume" in Fake.started[0]
    assert "bnn-lr0.01-seed2: error: of this run" in said
    assert "error: bnn-lr0.01-seed1 failed; its output: out/bnn-lr0.01-seed1.log" in said


def test_a_folder_of_another_config_is_refused(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main([*plan(grid).runs[0].words]) == 0
    write(Path(), {"set": {"training.epochs": 1, "data.batch_size": 8}})
    said = errors(command.main, [str(grid)], capsys, begun=False)
    assert "data.batch_size: 16 → 8" in said[-1]
    assert "give the sweep another dir" in said[-1]


@pytest.mark.slow
def test_processes(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(grid), "--processes", "2"]) == 0
    first = capsys.readouterr().out
    assert command.main([str(grid)]) == 0
    again = capsys.readouterr()
    assert again.out == first
    assert "of which 6 were finished before" in again.err
