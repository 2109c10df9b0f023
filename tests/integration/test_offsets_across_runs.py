"""Rows whose quantizers lead their own gradient back, and rounded gradients, over more than one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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

SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
MAPS = {"model": {"name": "vgg_small", "width": 4}, "data": {"shape": [3, 8, 8]}}
RESIDUAL = {"model": {"name": "resnet20", "width": 4}, "data": {"shape": [3, 8, 8]}}
TWO_BITS = {
    "name": "dorefa",
    "weight": {"pre": "tanh_max", "quantizer": {"name": "signed_uniform", "bits": 2}, "scale": "none"},
    "output_gradient": {"name": "dorefa", "bits": 4},
}
RUNS: dict[str, dict[str, Any]] = {
    "ttq, momentum, average": {"method": "ttq", "optimizer": SGD, "training": {"ema": 0.9}},
    "dorefa, rounded gradients": {"method": TWO_BITS},
    "dorefa, maps, mixed precision": {"method": TWO_BITS, "training": {"amp": "bf16"}, **MAPS},
    "dorefa, accumulated": {"method": TWO_BITS, "training": {"accumulate": 2}},
    "hwgq, maps": {"method": "hwgq", **MAPS},
    "wrpn, mixed precision": {"method": "wrpn", "training": {"amp": "bf16"}},
    "adabin": {"method": "adabin"},
    "adabin, residual": {"method": "adabin", "optimizer": SGD, **RESIDUAL},
    "adabin, mixed precision": {"method": "adabin", "training": {"amp": "bf16"}, **MAPS},
    "dsq, dropout": {"method": "dsq", "model": {"dropout": 0.3}},
    "dsq, maps, mixed precision": {"method": "dsq", "training": {"amp": "bf16"}, **MAPS},
}


def experiment(folder: Path, **changes: Any) -> Experiment:
    changes["training"] = {**changes.get("training", {}), "epochs": 3}
    return tiny(folder, **{"loss": "cross_entropy", **changes})


OFTEN = ("ttq, momentum, average", "dorefa, maps, mixed precision", "adabin, mixed precision", "dsq, dropout")


@pytest.mark.parametrize("name", some(RUNS, OFTEN))
def test_a_resumed_run_is_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted inside the second of three epochs."""
    start(experiment(tmp_path / "straight", **RUNS[name]))
    with monkeypatch.context() as patch:
        patch.setattr(run, "StopRequest", lambda: StopAfter(3 if "accumulated" in name else 5))
        with pytest.raises(Interrupted):
            start(experiment(tmp_path / "broken", **RUNS[name]))
    resume(tmp_path / "broken", None)
    assert_same_run(tmp_path / "straight", tmp_path / "broken")


@pytest.mark.parametrize("name", ["ttq", "adabin", "dsq"])
def test_what_is_learned_moves(name: str, tmp_path: Path) -> None:
    start(experiment(tmp_path / "run", method=name))
    weights = read(tmp_path / "run" / "checkpoints" / LAST).section("model")
    values = {key: float(t) for key, t in weights.items() if ".quantizer." in key and t.numel() == 1}
    assert values
    assert not {0.0, 1.0, -1.0} & set(values.values())


@pytest.mark.parametrize("name", ["ttq, momentum, average", "adabin", "dorefa, rounded gradients"])
def test_check_finds_nothing_wrong(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(experiment(tmp_path / "run", **RUNS[name]))
    main(["--resume", str(tmp_path / "run"), "--check"])
    lines = capsys.readouterr().out.splitlines()
    for instrument in ("forward pass", "gradient"):
        assert [line for line in lines if line.startswith(f"ok     {instrument} ")], lines
