"""Evaluation on images and their mirror images: what is scored, and who says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.export import main as export
from bnn_train.data.open import open_data
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.restore import experiment_of, model_of
from bnn_train.training.run import start
from tiny import tiny

FLIPPED = {"data": {"flip_test": True, "shape": [1, 6, 6]}, "training": {"epochs": 1}}


def test_logits_are_averaged_and_everyone_says_so(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = start(tiny(workdir / "run", **FLIPPED))
    best = ckpt.read(workdir / "run" / "checkpoints" / ckpt.BEST)
    experiment, cpu = experiment_of(best), torch.device("cpu")
    data = open_data(experiment.data, seed=experiment.seed, device=cpu)
    model, right = model_of(best, cpu), 0
    with torch.no_grad():
        for images, labels in data.eval_batches("test"):
            logits = (model(images) + model(torch.flip(images, [3]))) / 2
            right += int((logits.argmax(1) == labels).sum())
    assert report["correct"] == right
    assert "mirror image" in (workdir / "run" / "report.md").read_text()
    assert evaluate(["--checkpoint", "run", "--json", "found.json"]) == 0
    assert json.loads(Path("found.json").read_text())["correct"] == right
    capsys.readouterr()
    assert export(["--checkpoint", "run", "--out", "m.bnn"]) == 0
    assert "mirror images (data.flip_test); that is no part of the file" in "".join(capsys.readouterr())
    assert evaluate(["--checkpoint", "m.bnn"]) == 0
    assert "that is no part of the file" in capsys.readouterr().err
