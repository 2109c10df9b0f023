"""The real-valued twin: which report counts as one of it, and what is said of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bnn_train.check.line import Line
from bnn_train.check.subject import open_subject
from bnn_train.check.twin import twin
from bnn_train.config.loader import load
from check_subject import lines, subject, verdicts
from make_config import write
from tiny import tiny

DATA = "model: {name: mlp, width: 8}\ndata: {name: synthetic, shape: [1, 6, 6], num_classes: 4}\n"


@pytest.fixture
def chain(workdir: Path) -> Path:
    """configs/fp.yaml and configs/bnn.yaml, which extends it by way of another."""
    write("configs/fp.yaml", f"method: fp\n{DATA}reference: {{top1: 90.0}}\n")
    write("configs/between.yaml", "extends: fp.yaml\ntraining: {epochs: 2}\n")
    return write("configs/bnn.yaml", "extends: between.yaml\nmethod: bnn\n")


def told(config: Path, *overrides: str) -> Line:
    return lines(twin, open_subject(load(config, overrides), None, config))["real-valued twin"]


def report(folder: str, config: Path, top1: float, *overrides: str, epochs: int = 3) -> None:
    text = {"top1": top1, "epochs": epochs, "config": load(config, overrides).model_dump(mode="json")}
    write(f"{folder}/report.json", json.dumps(text))


def test_a_twin_without_a_report_is_named_with_its_command(chain: Path) -> None:
    line = told(chain)
    assert line.verdict == "look"
    assert "bnn-train --config configs/between.yaml" in line.advice


@pytest.mark.parametrize(("top1", "verdict"), [(89.5, "ok"), (80.0, "look")])
def test_a_twins_report_is_read(top1: float, verdict: str, chain: Path) -> None:
    report("runs/between", Path("configs/between.yaml"), top1)
    line = told(chain)
    assert (line.verdict, f"reached {top1:.2f} %" in line.measured) == (verdict, True)


def test_a_report_elsewhere_under_runs_counts_if_it_is_a_twins(chain: Path) -> None:
    report("runs/trial", chain, 99.0)
    write("runs/broken/report.json", "{")
    assert told(chain).verdict == "look"
    report("runs/other", Path("configs/fp.yaml"), 91.0)
    assert "runs/other/report.json" in told(chain).measured


def test_a_twin_of_another_size_is_told(chain: Path) -> None:
    line = told(write("configs/wide.yaml", "extends: bnn.yaml\nmodel: {width: 16}\n"))
    assert "configs/between.yaml (with another model.width)" in line.measured
    assert "--set model.width=16 --set run.dir=runs/twin:" in line.advice
    assert "another" not in told(chain).measured
    report("runs/between", Path("configs/between.yaml"), 91.0)
    assert told(Path("configs/wide.yaml")).measured == line.measured
    report("runs/twin", Path("configs/between.yaml"), 92.0, "model.width=16")
    assert "reached 92.00 %" in told(Path("configs/wide.yaml")).measured


def test_the_nearest_twin_of_the_same_size_is_named(chain: Path) -> None:
    write("configs/fp_wide.yaml", "extends: fp.yaml\nmodel: {width: 16}\n")
    line = told(write("configs/wide.yaml", "extends: bnn.yaml\nmodel: {width: 16}\n"))
    assert line.measured.startswith("configs/fp_wide.yaml;")


def test_a_twin_has_its_own_dropout(chain: Path) -> None:
    report("runs/between", Path("configs/between.yaml"), 91.0)
    assert "reached 91.00 %" in told(chain, "model.dropout=0.5").measured


@pytest.mark.parametrize("limit", ["data.train_limit=100", "data.test_limit=20", "data.batches_per_epoch=1"])
def test_a_trial_on_less_data_is_no_twin(limit: str, chain: Path) -> None:
    fp = Path("configs/fp.yaml")
    report("runs/fast1", fp, 15.2, limit, epochs=9)
    assert "no report" in told(chain).measured
    report("runs/full", fp, 97.4, epochs=1)
    assert "reached 97.40 % in 1 epoch (runs/full/report.json)" in told(chain).measured


def test_the_longest_run_counts(chain: Path) -> None:
    for name, epochs in (("a", 1), ("b", 50), ("c", 7)):
        report(f"runs/{name}", Path("configs/fp.yaml"), 80 + epochs / 10, epochs=epochs)
    assert "reached 85.00 % in 50 epochs (runs/b/report.json)" in told(chain).measured


def test_a_part_of_the_data_is_not_held_against_the_published_number(chain: Path) -> None:
    assert "--set data.train_limit=100 --set run.dir=" in told(chain, "data.train_limit=100").advice
    report("runs/part", Path("configs/fp.yaml"), 70.0, "data.train_limit=100")
    line = told(chain, "data.train_limit=100")
    assert (line.verdict, line.source) == ("ok", "no published number")


@pytest.mark.parametrize(("top1", "verdict"), [(30.0, "look"), (60.0, "ok")])
def test_a_twin_made_of_the_binary_config_has_no_published_number(
    top1: float, verdict: str, workdir: Path
) -> None:
    """Its config keeps the binary network's reference; of four classes, guessing has 25 %."""
    config = write("bnn.yaml", f"method: bnn\n{DATA}reference: {{top1: 99.0}}\n")
    report("runs/twin", config, top1, "method=fp")
    line = told(config)
    assert (line.verdict, line.source) == (verdict, "no published number")


def test_only_folders_of_runs_are_searched(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the run's own, one level deep, and under runs/; never from the file system's root."""
    report("data/train/deep", Path("configs/fp.yaml"), 91.0)
    assert "no report" in told(chain, "run.dir=out").measured
    report("out2", Path("configs/fp.yaml"), 91.0)
    assert "(out2/report.json)" in told(chain, "run.dir=out").measured
    searched: list[Path] = []
    glob = Path.glob

    def noted(self: Path, pattern: str) -> Iterator[Path]:
        searched.append(self.resolve())
        return glob(self, pattern)

    monkeypatch.setattr(Path, "glob", noted)
    told(chain, "run.dir=/bnn")
    assert Path("/") not in searched
    assert Path("runs").resolve() in searched


def test_a_config_without_a_twin_is_told_how_to_make_one(workdir: Path) -> None:
    line = told(write("bnn.yaml", f"method: bnn\n{DATA}"))
    assert (line.verdict, "--set method=fp" in line.advice) == ("look", True)


def test_the_twin_itself_needs_none() -> None:
    assert verdicts(twin, subject(method="fp")) == {}


def test_a_run_without_its_config_file_is_compared_too(workdir: Path) -> None:
    s = open_subject(tiny(Path("runs/x")), None, None)
    assert "runs/x/config.yaml" in lines(twin, dataclasses.replace(s))["real-valued twin"].advice
