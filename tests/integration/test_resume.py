"""An interrupted and resumed run equals an uninterrupted one: weights, optimizer, metrics, bit for bit."""

from pathlib import Path
from typing import Any

import pytest

from bnn_train.config.schema import Experiment
from bnn_train.errors import Interrupted, RunError
from bnn_train.training import run
from bnn_train.training.checkpoint import LAST
from bnn_train.training.run import resume, start
from same_run import assert_same_run
from stopping import StopAfter
from tiny import tiny


def interrupted(experiment: Experiment, steps: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run it with an interruption after each of the given numbers of steps, then to the end."""
    path = Path(experiment.run.dir or "")
    for number, count in enumerate(steps):
        monkeypatch.setattr(run, "StopRequest", lambda count=count: StopAfter(count))
        with pytest.raises(Interrupted, match="saved, go on with --resume"):
            start(experiment) if number == 0 else resume(path, None)
    monkeypatch.undo()
    resume(path, None)


STEPS = 10  # two epochs of five


@pytest.mark.parametrize("stop", range(1, STEPS + 1))
def test_interruption_at_every_step(stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(tiny(tmp_path / "straight"))
    interrupted(tiny(tmp_path / "broken"), [stop], monkeypatch)
    assert_same_run(tmp_path / "straight", tmp_path / "broken")


def test_three_interruptions_in_one_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(tiny(tmp_path / "straight"))
    interrupted(tiny(tmp_path / "broken"), [1, 2, 1], monkeypatch)
    assert_same_run(tmp_path / "straight", tmp_path / "broken")


STATEFUL: dict[str, dict[str, Any]] = {
    "stochastic activations and dropout": {
        "method": "bnn_stochastic",
        "model": {"dropout": 0.5, "dropout_input": 0.2},
    },
    "stochastic weights, norms re-estimated": {"method": "bc_stochastic"},
    "sgd momentum, cosine by step": {
        "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9},
        "schedule": {"name": "cosine", "per": "step", "warmup": 1.0},
    },
    "adamax, accumulation, clipped gradients": {
        "optimizer": {"name": "adamax", "lr": 0.01},
        "training": {"accumulate": 2, "clip_grad_norm": 0.1, "epochs": 4},
    },
    "an optimizer for the binary weights alone": {
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "binary": {"name": "adam", "lr": 0.01}},
        "schedule": "cosine",
    },
    "radam": {"optimizer": {"name": "radam", "lr": 0.01}},
    "moving average": {"training": {"ema": 0.9}},
    "mixed precision": {"method": "xnor", "training": {"amp": "bf16"}},
    "frozen weights": {
        "method": {"name": "inq", "weight": {"progress": {"shares": [0.5, 1.0], "starts": [0.0, 0.5]}}},
        "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9},
    },
    "a teacher that trains along": {
        "method": "dbnn",
        "loss": {"terms": [{"name": "apprentice", "model": {"name": "mlp", "width": 8, "depth": 2}}]},
    },
    "replicas": {
        "method": "rsgd",
        "optimizer": {"name": "adam", "binary": {"name": "rsgd", "rate": 30.0}},
        "training": {"ema": 0.9},
    },
    "log odds": {"method": "ebp", "optimizer": "ebp", "loss": "probit"},
    "gates": {
        "method": "widen_squeeze",
        "model": {"depth": 3},
        "loss": {"name": "cross_entropy", "terms": [{"name": "channel_gates", "weight": 0.1}]},
    },
    "bop": {"method": "bop", "optimizer": {"name": "adam", "binary": "bop"}},
    "augmentation": {
        "model": {"name": "vgg_small", "width": 4},
        "data": {"shape": [3, 8, 8], "augment": ["pad_crop_flip"], "normalize": ["mean_std"]},
    },
    "mixed and varied images": {
        "loss": {"name": "cross_entropy"},
        "optimizer": {"name": "adamw", "weight_decay": 0.01},
        "data": {
            "shape": [3, 8, 8],
            "augment": ["pad_crop_flip", "color_jitter", {"name": "random_erasing", "probability": 0.5}],
            "mix": ["mixup", "cutmix"],
            "flip_test": True,
        },
    },
    "xnor, zca": {"method": "xnor", "data": {"normalize": ["gcn", "zca"]}},
    "random validation split, best of the last": {
        "data": {"validation": {"take": "random"}},
        "training": {"select": "last"},
    },
}


@pytest.mark.parametrize("name", STATEFUL)
def test_every_kind_of_state(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(tiny(tmp_path / "straight", **STATEFUL[name]))
    interrupted(tiny(tmp_path / "broken", **STATEFUL[name]), [3, 4], monkeypatch)
    assert_same_run(tmp_path / "straight", tmp_path / "broken")


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    start(tiny(tmp_path / "one"))
    start(tiny(tmp_path / "other", seed=4))
    with pytest.raises(AssertionError):
        assert_same_run(tmp_path / "one", tmp_path / "other")


def test_checkpoints_between_epochs_and_resume_from_the_one_before(tmp_path: Path) -> None:
    experiment = tiny(tmp_path / "run", training={"checkpoint_every": 2})
    start(experiment)
    start(tiny(tmp_path / "straight", training={"checkpoint_every": 2}))
    damaged = tmp_path / "run" / "checkpoints" / LAST
    damaged.write_bytes(damaged.read_bytes()[:-9])
    told: list[str] = []
    resume(tmp_path / "run", None, warn=told.append)
    assert len(told) == 1
    assert "last.safetensors" in told[0]
    assert_same_run(tmp_path / "straight", tmp_path / "run")


def test_more_epochs_may_follow_but_nothing_else_may_change(tmp_path: Path) -> None:
    start(tiny(tmp_path / "run"))
    longer = tiny(tmp_path / "run", training={"epochs": 3})
    assert resume(tmp_path / "run", longer)["epochs"] == 3
    with pytest.raises(RunError, match=r"optimizer\.lr: 0\.01 → 0\.02"):
        resume(tmp_path / "run", tiny(tmp_path / "run", optimizer={"lr": 0.02}))
