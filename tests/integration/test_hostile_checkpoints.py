"""Checkpoints with a right digest whose parts do not belong together: a sentence, before memory is taken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.export import main as export
from bnn_train.cli.train import main as train
from bnn_train.config.merge import merge
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.optimizers.assembly import KINDS
from bnn_train.training.run import start
from tiny import tiny
from tiny_yaml import errors, refused

Capture = pytest.CaptureFixture[str]
State = dict[str, Any]
Tensors = dict[str, Tensor]


def put(run: Path, change: Callable[[State, Tensors], tuple[State, Tensors]]) -> None:
    """Replace every checkpoint of a run by one with another content and the digest that goes with it."""
    good = ckpt.read(run / "checkpoints" / ckpt.LAST)
    state, tensors = change(json.loads(json.dumps(good.state)), dict(good.tensors))
    for path in list((run / "checkpoints").iterdir()):
        path.unlink()
        ckpt.write(path, ckpt.Checkpoint(tensors, state))


def spelled(run: Path, state: str) -> None:
    """Replace them by one whose state is this text."""
    tensors = {name: t.contiguous() for name, t in ckpt.read(run / "checkpoints" / ckpt.LAST).tensors.items()}
    metadata = {"format": ckpt.FORMAT, "version": "1", "state": state, "sha256": ckpt._digest(tensors, state)}
    for path in list((run / "checkpoints").iterdir()):
        path.unlink()
        save_file(tensors, path, metadata=metadata)


STATES: dict[str, State] = {
    "a negative height": {"shape": [1, -8, 8]},
    "no height": {"shape": [1, 0, 8]},
    "a height that is true": {"shape": [1, True, 8]},
    "images too large for any memory": {"shape": [1, 2**40, 2**40]},
    "other images": {"shape": [3, 6, 6]},
    "no classes": {"classes": []},
    "a class more": {"classes": ["a", "b", "c", "d", "e"]},
    "more classes than any memory holds": {"experiment": {"data": {"num_classes": 10**12}}},
    "classes that are numbers": {"classes": [0, 1, 2, 3]},
    "a wider network": {"experiment": {"model": {"width": 2**50}}},
    "a deeper network": {"experiment": {"model": {"depth": 2**50}}},
    "another network": {"experiment": {"model": {"name": "resnet18"}}},
    "a network too large for the images": {"experiment": {"model": {"name": "vgg_small", "width": 1}}},
    "larger images": {"experiment": {"data": {"shape": [1, 60_000, 60_000]}}, "shape": [1, 60_000, 60_000]},
    "an average that is not there": {"experiment": {"training": {"ema": 0.5}}},
    "a config that is none": {"experiment": {"model": 3}},
    "a key too many": {"more": 1},
    "a scaler that is none": {"scaler": {"scale": "large"}},
}


@pytest.mark.parametrize("case", STATES)
def test_states(case: str, run: Path, capsys: Capture) -> None:
    put(run, lambda state, tensors: (merge(state, STATES[case]), tensors))
    told = [
        refused(["--resume", "run"], capsys),
        refused(["--resume", "run", "--check"], capsys),
        refused(["--checkpoint", "run"], capsys, evaluate),
        refused(["--checkpoint", "run", "--out", "m.bnn"], capsys, export),
    ]
    assert len(set(told)) == 1
    assert "the checkpoint" in told[0]


PROGRESSES: dict[str, State] = {
    "a step before the first": {"step": -1},
    "a step beyond all numbers": {"step": 10**30},
    "a step that no epoch has": {"step": 10**15},
    "epochs that are not told of": {"epochs_finished": 1},
    "a best epoch to come": {"best_epoch": 9},
    "seconds without end": {"seconds": float("inf")},
    "a history that is text": {"history": ["x", "y"]},
    "a history of lists": {"history": [{"train_loss": []}, {}]},
    "a loss that is text": {"history": [{"train_loss": "x"}, {}]},
    "a history of numbers too long for a float": {"history": [{"train_loss": 10**400}, {}]},
    "a meter that is text": {"meter": {"seen": "many"}},
    "images seen that are less than none": {"meter": {"seen": -1}},
    "a sum that is no number": {"meter": {"loss": float("nan")}},
}


@pytest.mark.parametrize("case", PROGRESSES)
def test_progresses(case: str, run: Path, capsys: Capture) -> None:
    put(run, lambda state, tensors: (merge(state, {"progress": PROGRESSES[case]}), tensors))
    assert "the checkpoint" in refused(["--resume", "run"], capsys)


TEXTS = {
    "no JSON": "{",
    "a list": "[]",
    "null": "null",
    "nesting": "[" * 100_000,
    "nesting that ends": "[" * 50_000 + "]" * 50_000,
    "half a letter": '{"classes": ["\\ud800"]}',
    "a number of too many digits": '{"step": ' + "9" * 9999 + "}",
}


@pytest.mark.parametrize("case", TEXTS)
def test_states_that_are_none(case: str, run: Path, capsys: Capture) -> None:
    spelled(run, TEXTS[case])
    assert "state" in errors(train, ["--resume", "run"], capsys)[0]
    assert "state" in refused(["--checkpoint", "run"], capsys, evaluate)


def grown(tensor: Tensor) -> Tensor:
    return torch.zeros((*tensor.shape, 2), dtype=tensor.dtype)


def retyped(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float64 if tensor.dtype != torch.float64 else torch.float32)


ODD_TYPES = [torch.bool, torch.uint8, torch.complex64, torch.float8_e4m3fn, torch.bfloat16]
CHANGES: dict[str, Callable[[Tensor], Tensor | None]] = {
    "gone": lambda tensor: None,
    "grown": grown,
    "retyped": retyped,
    "empty": lambda tensor: tensor.flatten()[:0],
    **{str(kind): partial(torch.zeros_like, dtype=kind) for kind in ODD_TYPES},
}


@pytest.fixture(scope="module")
def stateful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every section: an average, two optimizers and fitted preprocessing."""
    folder = tmp_path_factory.mktemp("stateful") / "run"
    data = {"normalize": ["pixel_mean", "zca"]}
    start(tiny(folder, training={"ema": 0.5, "epochs": 1}, data=data))
    return folder


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("section", ["model", "optimizer", "ema", "preprocess", "signs"])
def test_tensors(section: str, change: str, stateful: Path, workdir: Path, capsys: Capture) -> None:
    """One tensor of a section, another for each change; a run does without former signs alone."""
    shutil.copytree(stateful, "run")

    def one(state: State, tensors: Tensors) -> tuple[State, Tensors]:
        names = sorted(name for name in tensors if name.startswith(f"{section}."))
        name = names[list(CHANGES).index(change) % len(names)]
        before = tensors.pop(name)
        after = CHANGES[change](before)
        if after is not None:
            tensors[name] = after if after.dtype != before.dtype else grown(after)
        return state, tensors

    put(Path("run"), one)
    if (section, change) == ("signs", "gone"):
        assert train(["--resume", "run"]) == 0
    else:
        assert "fit" in refused(["--resume", "run"], capsys)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "optimizer.",
            "optimizer.x.0.step",
            "optimizer.0.x.step",
            "optimizer.-1.0.step",
            "optimizer.².0.step",
        ),
        *(
            "optimizer.0.99.step",
            "optimizer.9.0.step",
            f"optimizer.{'9' * 5000}.0.step",
            "optimizer.0.0.more",
        ),
        *("optimizer.0.0", "model.more", "ema.more", "signs.more", "preprocess.more", "preprocess.9.mean"),
    ],
)
def test_tensors_too_many(name: str, stateful: Path, workdir: Path, capsys: Capture) -> None:
    shutil.copytree(stateful, "run")
    put(Path("run"), lambda state, tensors: (state, {**tensors, name: torch.zeros(())}))
    assert "fit" in refused(["--resume", "run"], capsys)


OPTIMIZERS: dict[str, State] = {
    "adam": {"name": "adam"},
    "adamw": {"name": "adamw"},
    "adamax": {"name": "adamax"},
    "shift_adamax": {"name": "shift_adamax"},
    "sgd": {"name": "sgd", "momentum": 0.9},
    "radam": {"name": "radam"},
    "ebp": {"name": "ebp"},
    "rsgd": {"name": "adam", "binary": "rsgd"},
    "bop": {"name": "adam", "binary": "bop"},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_table_of_optimizers_is_what_they_keep(name: str, tmp_path: Path) -> None:
    method = name if name in ("bop", "rsgd") else "bnn"
    changes = {"method": method, "optimizer": OPTIMIZERS[name], "training": {"epochs": 1}}
    start(tiny(tmp_path / "run", **changes))
    kept = ckpt.read(tmp_path / "run" / "checkpoints" / ckpt.LAST).section("optimizer")
    which = "1" if name in ("bop", "rsgd") else "0"
    section = tiny(tmp_path / "run", **changes).optimizer
    kind = KINDS[name].of(section.binary if which == "1" else section)
    assert {key.split(".", 2)[2] for key in kept if key.startswith(which)} == kind.names
    assert OPTIMIZERS.keys() == KINDS.keys()
