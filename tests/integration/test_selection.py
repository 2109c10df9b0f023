"""The epoch whose weights a run reports, with evaluations that say what the test wants them to."""

from pathlib import Path

import pytest
import torch

from bnn_train.inspect.evaluation import Evaluation
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.records import Recorder
from bnn_train.training.run import start
from tiny import tiny

SCORES = {"validation": [50, 60, 60, 40], "test": [10, 90, 20, 30]}
"""Percent right after each epoch."""


@pytest.mark.parametrize(
    ("select", "split", "best"),
    [
        ("validation", "validation", 3),  # of two equals the later
        ("last", "validation", 4),
        ("test", "test", 2),
    ],
)
def test_the_reported_weights_are_those_of_the_selected_epoch(
    select: str, split: str, best: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def scripted(recorder: Recorder, split: str) -> Evaluation:
        right = SCORES[split][len(seen)]
        seen.append(split)
        confusion = torch.tensor([[right, 100 - right], [0, 0]])
        return Evaluation(confusion=confusion, top5_correct=100, total=100, loss=0.0)

    shorter = start(tiny(tmp_path / "shorter", training={"epochs": best, "select": "last"}))
    monkeypatch.setattr(Recorder, "evaluate", scripted)
    report = start(tiny(tmp_path / "run", training={"epochs": 4, "select": select}))
    assert seen == [split] * 4
    assert [entry[f"{split}_top1"] for entry in report["history"]] == SCORES[split]
    assert (report["best_epoch"], report["selection"]) == (best, select)
    assert report["confusion"] == shorter["confusion"]
    files = (tmp_path / "run" / "checkpoints" / ckpt.BEST, tmp_path / "shorter" / "checkpoints" / ckpt.LAST)
    chosen, expected = (ckpt.read(file).section("model") for file in files)
    assert all(torch.equal(chosen[name], expected[name]) for name in expected)
