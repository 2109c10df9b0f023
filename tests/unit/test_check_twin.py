"""The real-valued twin: which report counts as one of it, and what is said of it."""

from __future__ import annotations

import dataclasses
import json
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


def told(config: Path) -> Line:
    return lines(twin, open_subject(load(config), None, config))["real-valued twin"]


def report(folder: str, config: Path, top1: float) -> None:
    text = {"top1": top1, "epochs": 3, "config": load(config).model_dump(mode="json")}
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
    assert "other options" in line.measured
    assert "other options" not in told(chain).measured


def test_a_config_without_a_twin_is_told_how_to_make_one(workdir: Path) -> None:
    line = told(write("bnn.yaml", f"method: bnn\n{DATA}"))
    assert (line.verdict, "--set method=fp" in line.advice) == ("look", True)


def test_the_twin_itself_needs_none() -> None:
    assert verdicts(twin, subject(method="fp")) == {}


def test_a_run_without_its_config_file_is_compared_too(workdir: Path) -> None:
    s = open_subject(tiny(Path("runs/x")), None, None)
    assert "runs/x/config.yaml" in lines(twin, dataclasses.replace(s))["real-valued twin"].advice
