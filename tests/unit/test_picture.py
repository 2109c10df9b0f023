"""scripts/picture.py: the curves and the answers that it draws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import picture
from bnn_train.cli.train import main as train

CONFIG = Path(__file__).resolve().parents[2] / "configs/quickstart.yaml"


def answer(label: str, given: str) -> picture.Answer:
    return picture.Answer(np.zeros((2, 2, 1), np.uint8), label, given)


def test_one_right_answer_of_each_class_and_the_mistakes() -> None:
    found = [answer("1", "1"), answer("0", "1"), answer("0", "0"), answer("1", "1"), answer("1", "0")]
    shown = list(picture.shown(found))
    assert [id(one) for one in shown] == [id(found[i]) for i in (2, 0, 1, 4)]


def test_a_mistake_beyond_the_row_is_left_out() -> None:
    assert len(list(picture.shown([answer("0", "1")] * 13))) == 10


def test_curves(tmp_path: Path) -> None:
    entries = [
        {"event": "step", "step": 1},
        {"event": "epoch", "step": 2, "epoch": 1, "train_top1": 75.0, "flip_rate": 0.25},
        {"event": "epoch", "step": 4, "epoch": 2, "train_top1": 80.0, "validation_top1": 90.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert picture.curves(tmp_path) == {
        "training error": [(1, 25.0), (2, 20.0)],
        "validation error": [(2, 10.0)],
        "weights that changed sign": [(1, 25.0)],
    }


def test_a_run_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert picture.main(["run"]) == 2
    short = ("training.epochs=1", "run.dir=run", "model.width=16", "run.tensorboard=false")
    assert train(["--config", str(CONFIG), *(word for one in short for word in ("--set", one))]) == 0
    report = json.loads(Path("run/report.json").read_text())
    assert sum(one.label == one.answer for one in picture.answers(Path("run"))) == report["correct"]
    assert picture.main(["run", "--out", "p.png"]) == 0
    with Image.open("p.png") as drawn:
        assert drawn.size[0] > 500
    assert "Traceback" not in capsys.readouterr().err
