"""Least squares, HORQ, LQ-Nets and ReBNet over more than one run: resumed, checked and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bnn_train.cli.train import main
from bnn_train.config.schema import Experiment
from bnn_train.errors import Interrupted
from bnn_train.training import run
from bnn_train.training.checkpoint import LAST, read
from bnn_train.training.run import resume, start
from pairs import some
from same_run import assert_same_run
from stopping import StopAfter
from tiny import tiny

MAPS = {"model": {"name": "vgg_small", "width": 4}, "data": {"shape": [3, 8, 8]}}
SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
RUNS: dict[str, dict[str, Any]] = {
    "ls2, maps": {"method": "ls2", **MAPS},
    "gf2, average, accumulated": {"method": "gf2", "training": {"ema": 0.9, "accumulate": 2}},
    "horq, maps": {"method": "horq", **MAPS},
    "lqnets, maps, momentum": {"method": "lqnets", "optimizer": SGD, **MAPS},
    "lqnets, average, dropout": {"method": "lqnets", "model": {"dropout": 0.3}, "training": {"ema": 0.9}},
    "lqnets, mixed precision": {"method": "lqnets", "training": {"amp": "bf16"}},
    "lst, mixed precision": {"method": "lst", "training": {"amp": "bf16"}, **MAPS},
    "rebnet, momentum": {"method": "rebnet", "optimizer": SGD},
}
KEPT = ("average", "basis", "gamma")


def experiment(folder: Path, **changes: Any) -> Experiment:
    return tiny(folder, **{"loss": "cross_entropy", **changes})


def stopped(e: Experiment, step: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that was interrupted after a step."""
    with monkeypatch.context() as patch:
        patch.setattr(run, "StopRequest", lambda: StopAfter(step))
        with pytest.raises(Interrupted):
            start(e)
    return Path(e.run.dir or "")


def kept(folder: Path) -> list[torch.Tensor]:
    weights = read(folder / "checkpoints" / LAST).section("model")
    return [tensor for name, tensor in weights.items() if name.endswith(KEPT)]


OFTEN = ("gf2, average, accumulated", "lqnets, maps, momentum", "rebnet, momentum", "horq, maps")


@pytest.mark.parametrize("name", some(RUNS, OFTEN))
def test_a_resumed_run_is_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted inside the second of three epochs; what the quantizers keep has moved."""
    changes = {**RUNS[name], "training": {**RUNS[name].get("training", {}), "epochs": 3}}
    start(experiment(tmp_path / "straight", **changes))
    steps = 4 if "accumulate" in changes["training"] else 7
    resume(stopped(experiment(tmp_path / "broken", **changes), steps, monkeypatch), None)
    assert_same_run(tmp_path / "straight", tmp_path / "broken")
    fresh = stopped(experiment(tmp_path / "fresh", **changes), 1, monkeypatch)
    moved = [not torch.equal(*pair) for pair in zip(kept(fresh), kept(tmp_path / "broken"), strict=True)]
    assert all(moved)
    assert bool(moved) == (changes["method"] != "horq")


@pytest.mark.parametrize("name", ["horq, maps", "lqnets, average, dropout", "rebnet, momentum"])
def test_a_run_is_checked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check finds nothing wrong in a run that goes on."""
    folder = stopped(experiment(tmp_path / "run", **RUNS[name]), 8, monkeypatch)
    main(["--resume", str(folder), "--check"])
    lines = capsys.readouterr().out.splitlines()
    for instrument in ("forward pass", "gradient", "latent weights"):
        assert [line for line in lines if line.startswith(f"ok     {instrument} ")], lines
