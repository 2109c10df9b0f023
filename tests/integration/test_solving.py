"""Runs that solve for their weights before the first step: once, repeatably, and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.export import main as export
from bnn_train.cli.train import main as train
from bnn_train.config.schema import Experiment
from bnn_train.data.open import open_data
from bnn_train.errors import Interrupted, RunError
from bnn_train.training import run, solve
from bnn_train.training.checkpoint import BEST, LAST, read
from bnn_train.training.run import resume, start
from bnn_train.training.setup import build_model
from bnn_train.training.solve import Solved, solve_weights
from bnn_train.training.stages import start_weights
from same_run import assert_same_run
from stopping import StopAfter
from tiny import tiny

FIRST = {"name": "tsq", "weight": {"quantizer": "none", "scale": "none"}}
SOURCES: dict[str, Any] = {"bwnh": "fp", "tsq": FIRST, "ternary_residual": "fp", "qcnn": "fp"}
CPU = torch.device("cpu")
MAPS = {"model": {"name": "vgg_small", "width": 4}, "data": {"shape": [3, 8, 8]}}


def experiment(folder: Path, source: Path | None = None, **changes: Any) -> Experiment:
    begins = {} if source is None else {"init_from": str(source), "epochs": 3, "solve": {"images": 40}}
    training = {"epochs": 1, **begins, **changes.pop("training", {})}
    return tiny(folder, **{"loss": "cross_entropy", **changes, "training": training})


def begun(e: Experiment) -> tuple[torch.nn.Module, Solved]:
    data = open_data(e.data, seed=e.seed, device=CPU)
    model = build_model(e, data.shape, len(data.classes), CPU)
    start_weights(model, e)
    found = solve_weights(model, e, data)
    assert found is not None
    return model, found


@pytest.mark.parametrize("maps", [{}, pytest.param(MAPS, marks=pytest.mark.slow)], ids=["mlp", "maps"])
@pytest.mark.parametrize("method", SOURCES)
def test_the_responses_come_nearer_and_a_resumed_run_is_the_same(
    method: str, maps: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(experiment(tmp_path / "source", method=SOURCES[method], **maps))
    _, solved = begun(experiment(tmp_path / "x", tmp_path / "source", method=method, **maps))
    assert solved.errors
    assert all(
        after <= before + 1e-9 or method == "ternary_residual" for before, after in solved.errors.values()
    )
    start(experiment(tmp_path / "straight", tmp_path / "source", method=method, **maps))
    with monkeypatch.context() as patch:
        patch.setattr(run, "StopRequest", lambda: StopAfter(2))
        with pytest.raises(Interrupted):
            start(experiment(tmp_path / "broken", tmp_path / "source", method=method, **maps))
    monkeypatch.setattr(solve, "model_of", None)  # a resumed run does not solve again
    resume(tmp_path / "broken", None)
    assert_same_run(tmp_path / "straight", tmp_path / "broken")


def test_a_run_of_no_epochs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Solved for, evaluated, saved, reported, exported; the same weights again on resuming."""
    start(experiment(tmp_path / "source", method="fp"))
    e = experiment(tmp_path / "run", tmp_path / "source", method="ternary_residual", training={"epochs": 0})
    report = start(e)
    assert report["epochs"] == 0
    assert "not trained" in (tmp_path / "run" / "report.md").read_text()
    weights = read(tmp_path / "run" / "checkpoints" / BEST).section("model")
    theirs = read(tmp_path / "source" / "checkpoints" / BEST).section("model")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in theirs.items())
    assert float(weights["linear2.input_quantizer.pre.top"]) != 1
    assert resume(tmp_path / "run", None)["top1"] == report["top1"]
    train(["--resume", str(tmp_path / "run"), "--check"])
    assert "ok     forward pass" in capsys.readouterr().out
    packed = tmp_path / "x.bnn"
    assert export(["--checkpoint", str(tmp_path / "run"), "--out", str(packed), "--no-latency"]) == 0
    capsys.readouterr()
    assert evaluate(["--checkpoint", str(packed)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"top-1 {report['top1']:.2f} %"


def test_a_layer_of_another_shape_is_refused(tmp_path: Path) -> None:
    start(experiment(tmp_path / "source", method="fp", model={"width": 8}))
    skip = {"checkpoint": str(tmp_path / "source"), "skip": ["linear*", "norm*"]}
    with pytest.raises(RunError, match=r"no layer linear2|has no tensor"):
        begun(experiment(tmp_path / "x", method="bwnh", training={"init_from": skip}))


def test_all_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(experiment(tmp_path / "source", method="fp"))
    start(experiment(tmp_path / "run", tmp_path / "source", method="bwnh"))
    told = capsys.readouterr().err
    assert "Weights solved for on 40 images; error of the responses: linear2 0." in told
    assert "Weights solved for" in json.dumps(json.loads((tmp_path / "run" / "manifest.json").read_text()))
    checkpoint = read(tmp_path / "run" / "checkpoints" / LAST)
    assert checkpoint.state["progress"]["epochs_finished"] == 3


def test_windows_are_the_numbers_under_a_filter() -> None:
    layer = BinaryConv2d(3, 5, 3, stride=2, padding=1, dilation=1, method="dorefa", role="body")
    x = torch.rand(2, 3, 7, 7)
    y = layer.columns(x) @ layer.read_weight().flatten(1).T + layer.bias
    torch.testing.assert_close(y.transpose(1, 2).view(2, 5, 4, 4), layer(x))
    real = BinaryConv2d(3, 5, 3, padding=1, method="bc", role="first")
    y = real.columns(x) @ real.read_weight().flatten(1).T
    torch.testing.assert_close(y.transpose(1, 2).view(2, 5, 7, 7), real(x))
    dense = BinaryLinear(4, 3, method="bnn", role="body")
    torch.testing.assert_close(dense.columns(torch.randn(2, 4)).shape, torch.Size([2, 1, 4]))


@pytest.mark.slow
def test_check_looks_at_what_was_solved_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in ("fp", "tsq_1"):
        train(
            [
                "--config",
                f"configs/digits/{source}.yaml",
                "--set",
                f"run.dir={tmp_path / source}",
                "--set",
                "training.epochs=2",
            ]
        )
    for method, source in (("bwnh", "fp"), ("tsq_2", "tsq_1")):
        capsys.readouterr()
        begin = f"training.init_from.checkpoint={tmp_path / source}"
        train(["--config", f"configs/digits/{method}.yaml", "--set", begin, "--check"])
        lines = capsys.readouterr().out.splitlines()
        for instrument in ("forward pass", "gradient"):
            assert [line for line in lines if line.startswith(f"ok     {instrument} ")], lines
