"""Accuracies of methods on the embedded digits against those recorded: a fault that costs points is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

import reproduce
from reproduction import expected

ROWS = "fp,bnn,xnor,bireal,irnet,dorefa,ls2,recu,adabin"
SMALL = ("--fast", "4", "--set", "model.width=64")


def verified(out: Path, rows: str) -> int:
    return reproduce.main(["digits", "--rows", rows, *SMALL, "--threads", "1", "--out", str(out), "--verify"])


def test_methods_reach_what_they_reached(tmp_path: Path) -> None:
    assert verified(tmp_path, ROWS) == 0


def test_a_lost_point_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = expected.read()
    row = known["digits fast4 model.width=64"]["rows"]["bnn"]
    raised = {"digits fast4 model.width=64": {"rows": {"bnn": row | {"top1": 100.0, "tolerance": 0.5}}}}
    monkeypatch.setattr(expected, "read", lambda path=None: raised)
    assert verified(tmp_path, "bnn") == 2
    assert "bnn:" in capsys.readouterr().err
