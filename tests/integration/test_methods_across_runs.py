"""IR-Net, PACT and ABC-Net over more than one run: resumed, evaluated midway, checked, and begun from
each other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bnn_train.cli.train import main
from bnn_train.config.schema import Experiment
from bnn_train.data.open import open_data
from bnn_train.errors import Interrupted
from bnn_train.report.metrics import read_metrics
from bnn_train.spec.inputs import num_classes
from bnn_train.training import run
from bnn_train.training.checkpoint import BEST, LAST, read
from bnn_train.training.restore import evaluate_checkpoint
from bnn_train.training.run import resume, start
from bnn_train.training.setup import build_model
from bnn_train.training.stages import Started, start_weights
from pairs import some
from same_run import assert_same_run
from stopping import StopAfter
from tiny import tiny

CPU = torch.device("cpu")
SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
BY_STEP = {"t": {"from": 1e-3, "to": 10.0, "curve": "exponential", "per": "step"}}
IRNET_BY_STEP = {"name": "irnet", "weight": {"estimator": BY_STEP}, "activation": {"estimator": BY_STEP}}
PACT_LOW = {"name": "pact", "activation": {"pre": {"start": 0.5, "rate": 3.0, "weight_decay": 0.1}}}
MAPS = {"model": {"name": "vgg_small", "width": 4}, "data": {"shape": [3, 8, 8]}}
RUNS: dict[str, dict[str, Any]] = {
    "irnet by epoch": {"method": "irnet"},
    "irnet by step": {"method": IRNET_BY_STEP},
    "irnet by step, momentum, average": {
        "method": IRNET_BY_STEP,
        "optimizer": SGD,
        "training": {"ema": 0.9, "accumulate": 2},
    },
    "pact, adam": {"method": PACT_LOW},
    "pact, momentum": {"method": PACT_LOW, "optimizer": SGD},
    "pact, maps, average": {"method": PACT_LOW, "training": {"ema": 0.9}, **MAPS},
    "abcnet, adam, dropout": {"method": "abcnet", "model": {"dropout": 0.3}},
    "abcnet, momentum, average": {"method": "abcnet", "optimizer": SGD, "training": {"ema": 0.9}},
    "abcnet, maps, mixed precision": {"method": "abcnet", "training": {"amp": "bf16"}, **MAPS},
    "shifts, momentum": {
        "method": {"name": "bireal", "activation": {"pre": {"name": "shift", "rate": 2.0}}},
        "optimizer": SGD,
    },
}


def experiment(folder: Path, **changes: Any) -> Experiment:
    return tiny(folder, **{"loss": "cross_entropy", **changes})


def stopped(e: Experiment, step: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that was interrupted after a step."""
    with monkeypatch.context() as patch:
        patch.setattr(run, "StopRequest", lambda: StopAfter(step))
        with pytest.raises(Interrupted):
            start(e)
    return Path(e.run.dir or "")


def learned(folder: Path) -> dict[str, Tensor]:
    """The parameters that the input quantizers learned."""
    weights = read(folder / "checkpoints" / LAST).section("model")
    return {name: tensor for name, tensor in weights.items() if ".input_quantizer." in f".{name}"}


OFTEN = (
    "irnet by step, momentum, average",
    "pact, maps, average",
    "abcnet, momentum, average",
    "shifts, momentum",
)


@pytest.mark.parametrize("name", some(RUNS, OFTEN))
def test_a_resumed_run_is_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted inside the second of three epochs."""
    changes = {**RUNS[name], "training": {**RUNS[name].get("training", {}), "epochs": 3}}
    start(experiment(tmp_path / "straight", **changes))
    steps = 4 if "accumulate" in changes["training"] else 7
    resume(stopped(experiment(tmp_path / "broken", **changes), steps, monkeypatch), None)
    assert_same_run(tmp_path / "straight", tmp_path / "broken")
    fresh = stopped(experiment(tmp_path / "fresh", **changes), 1, monkeypatch)
    moved = [not torch.equal(t, learned(fresh)[name]) for name, t in learned(tmp_path / "broken").items()]
    assert all(moved)
    assert bool(moved) != ("irnet" in name)


def test_the_annealed_estimator_takes_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By step and by epoch it is another in the middle of an epoch, and so are the weights."""
    weights = []
    for name in ("irnet by epoch", "irnet by step"):
        folder = stopped(experiment(tmp_path / name, **RUNS[name]), 3, monkeypatch)
        weights.append(read(folder / "checkpoints" / LAST).section("model")["linear2.weight"])
    assert not torch.equal(*weights)


@pytest.mark.parametrize("name", ["irnet by step", "pact, maps, average", "abcnet, momentum, average"])
def test_a_run_that_goes_on(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its first epoch's checkpoint evaluates as that epoch told, and --check finds nothing wrong in it."""
    folder = stopped(experiment(tmp_path / "run", **RUNS[name]), 8, monkeypatch)
    (told,) = (line for line in read_metrics(folder / "metrics.jsonl") if line["event"] == "epoch")
    checkpoint = read(folder / "checkpoints" / BEST)
    e = experiment(tmp_path / "run", **RUNS[name])
    data = open_data(e.data, seed=e.seed, device=CPU, preprocess=checkpoint.section("preprocess"))
    _, found = evaluate_checkpoint(checkpoint, data, "validation", device=CPU)
    assert found.top1 == told["validation_top1"]
    assert math.isclose(found.loss, told["validation_loss"], rel_tol=1e-6)
    main(["--resume", str(folder), "--check"])
    lines = capsys.readouterr().out.splitlines()
    for instrument in ("forward pass", "gradient", "latent weights"):
        assert [line for line in lines if line.startswith(f"ok     {instrument} ")], lines


def after(source: Path, target: Path, method: Any, classes: int = 10, **init: Any) -> Experiment:
    """A run of another method that begins with one's weights."""
    begins = {"checkpoint": str(source), **init}
    return experiment(
        target, method=method, data={"num_classes": classes}, training={"epochs": 1, "init_from": begins}
    )


def begun(e: Experiment) -> tuple[dict[str, Tensor], Started]:
    """The weights before the first step, and what was told of them."""
    model = build_model(e, (1, 6, 6), num_classes(e.data), CPU)
    started = start_weights(model, e)
    assert started is not None
    return model.state_dict(), started


def test_one_method_begins_with_another(tmp_path: Path) -> None:
    """fp → irnet → pact → abcnet → pact: latent weights go over; what a quantizer learns begins as in a new
    layer where the file lacks it, and as in the file where it has it."""
    start(experiment(tmp_path / "fp", method="fp", data={"num_classes": 10}, training={"epochs": 1}))
    start(after(tmp_path / "fp", tmp_path / "irnet", "irnet"))
    chain = {
        "pact": ("irnet", PACT_LOW, {"pre.alpha": torch.tensor(0.5)}),
        "abcnet": (
            "pact",
            "abcnet",
            {
                "quantizer.shifts": torch.tensor([-0.5, 0.0, 0.5]),
                "quantizer.weights": torch.full((3,), 1 / 3),
            },
        ),
        "pact again": ("abcnet", "pact", {"pre.alpha": torch.tensor(8.0)}),
    }
    for name, (source, method, fresh) in chain.items():
        e = after(tmp_path / source, tmp_path / name, method)
        weights, started = begun(e)
        theirs = read(tmp_path / source / "checkpoints" / BEST).section("model")
        own = {f"linear2.input_quantizer.{key}": number for key, number in fresh.items()}
        assert set(started.missed) == set(own)
        assert set(started.left) == theirs.keys() - weights.keys()
        for key, tensor in weights.items():
            assert torch.equal(tensor, own[key] if key in own else theirs[key]), key
        start(e)


@pytest.mark.parametrize("name", ["irnet by step", "pact, adam", "abcnet, momentum, average"])
def test_fine_tuning_to_fewer_classes(name: str, tmp_path: Path) -> None:
    """Ten classes → five with the same method: what its quantizers learned goes over, too."""
    changes = {**RUNS[name], "data": {"num_classes": 10}}
    start(experiment(tmp_path / "ten", **changes))
    e = after(tmp_path / "ten", tmp_path / "five", RUNS[name]["method"], 5, skip=["last"])
    weights, started = begun(e)
    checkpoint = read(tmp_path / "ten" / "checkpoints" / BEST)
    theirs = checkpoint.section("ema.module") or checkpoint.section("model")
    assert started.missed == []
    assert {name.partition(".")[0] for name in started.skipped} == {"linear3", "norm3"} & {
        name.partition(".")[0] for name in weights
    }
    for key in weights.keys() - set(started.skipped):
        assert torch.equal(weights[key], theirs[key]), key
    start(e)
    assert len(read(tmp_path / "five" / "checkpoints" / BEST).state["classes"]) == 5
