"""Mixed precision: evaluated as trained, overflowing steps repeated and counted, TF32 only where allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.config.schema import Run
from bnn_train.errors import NonFiniteError
from bnn_train.spec.annealed import START
from bnn_train.training import setup
from bnn_train.training.checkpoint import BEST, LAST, read
from bnn_train.training.evaluate import evaluate, reestimate_norms
from bnn_train.training.restore import model_of
from bnn_train.training.run import resume, start
from bnn_train.training.setup import choose_device
from bnn_train.training.step import Kept, training_step
from same_run import assert_same_run
from tiny import tiny

CPU = torch.device("cpu")


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(50, 30, generator=generator), torch.arange(50) % 3) for _ in range(2)]


def test_an_evaluation_computes_in_the_declared_precision() -> None:
    torch.manual_seed(0)
    model = nn.Linear(30, 3)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        logits = torch.cat([model(images) for images, _ in batches()]).float()
    expected = float(F.cross_entropy(logits, torch.cat([labels for _, labels in batches()])))
    found = evaluate(model, batches(), classes=3, criterion=F.cross_entropy, amp=torch.bfloat16).loss
    plain = evaluate(model, batches(), classes=3, criterion=F.cross_entropy).loss
    assert found == pytest.approx(expected, rel=1e-6)
    assert abs(plain - expected) > 1e-5


def test_norms_are_reestimated_in_the_declared_precision() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 3), nn.BatchNorm1d(3))
    means = []
    for amp in (None, torch.bfloat16):
        reestimate_norms(model, batches(), amp=amp)
        norm = model[1]
        assert isinstance(norm, nn.BatchNorm1d)
        assert norm.running_mean is not None
        means.append(norm.running_mean.clone())
    assert not torch.equal(*means)


def test_a_run_and_its_checkpoint_score_what_was_trained(tmp_path: Path) -> None:
    experiment = tiny(tmp_path / "run", method="xnor", training={"amp": "bf16"})
    report = start(experiment)
    model = model_of(read(tmp_path / "run" / "checkpoints" / BEST), CPU)
    from bnn_train.data.open import open_data
    from bnn_train.training.losses import criterion

    data = open_data(experiment.data, seed=experiment.seed, device=CPU)
    scores = {
        amp: evaluate(
            model, data.eval_batches("test"), classes=4, criterion=criterion(experiment.loss), amp=amp
        ).loss
        for amp in (None, torch.bfloat16)
    }
    assert report["loss"] == scores[torch.bfloat16] != scores[None]
    assert report["precision"] == "mixed precision with bf16 (training.amp)"
    assert "an export computes in float32" in report["notes"][-1]
    assert json.loads((tmp_path / "run" / "report.json").read_text())["notes"] == report["notes"]


@pytest.mark.parametrize("allowed", [False, True])
def test_tf32_only_where_it_is_allowed(allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = not allowed
    torch.backends.cudnn.benchmark = True
    choose_device(Run(device="cpu", tf32=allowed))
    assert torch.backends.cudnn.allow_tf32 is allowed
    assert torch.backends.cuda.matmul.allow_tf32 is allowed
    assert not torch.backends.cudnn.benchmark


def test_the_report_says_that_tf32_was_allowed(tmp_path: Path) -> None:
    assert start(tiny(tmp_path / "a"))["precision"] == "float32"
    report = start(tiny(tmp_path / "b", run={"tf32": True}))
    assert report["precision"] == "float32, TF32 allowed on a GPU (run.tf32)"
    assert "TF32 allowed" in report["notes"][-1]


# ---------------------------------------------------------------------------- the loss scale of fp16


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss scaler on the CPU, whose first scale overflows float32 in the backward pass."""
    real = torch.amp.GradScaler

    def scaler(device: str, enabled: bool) -> Any:
        return real("cpu", init_scale=2.0**127, growth_interval=3, enabled=True)

    monkeypatch.setattr(torch.amp, "GradScaler", scaler)


OPTIMIZERS: list[dict[str, Any]] = [
    {"optimizer": {"name": "adam"}},
    {"optimizer": {"name": "sgd", "momentum": 0.9}, "training": {"clip_grad_norm": 1.0, "ema": 0.9}},
    {"method": "bop", "optimizer": {"name": "adam", "binary": "bop"}},
    {"optimizer": {"name": "shift_adamax"}},
]


def everything(learner: setup.Learner) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in learner.tensors().items()}


@pytest.mark.usefixtures("scaled")
@pytest.mark.parametrize("changes", OPTIMIZERS, ids=str)
def test_an_overflow_moves_nothing(changes: dict[str, Any], tmp_path: Path) -> None:
    experiment = tiny(tmp_path, **changes)
    learner = setup.build_learner(experiment, setup.build_model(experiment, (1, 6, 6), 4, CPU).train(), CPU)
    criterion = learner.criterion
    learner.criterion = lambda logits, labels: 64 * criterion(logits, labels)
    before, scale = everything(learner), learner.scaler.get_scale()
    batch = (torch.randn(16, 1, 6, 6), torch.arange(16) % 4)
    seen = training_step(
        learner, Kept(learner.model), [batch], position=START, clip=experiment.training.clip_grad_norm
    )
    assert seen is None
    after = everything(learner)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert learner.scaler.get_scale() == scale / 2
    assert not learner.torn


@pytest.mark.usefixtures("scaled")
@pytest.mark.parametrize("changes", OPTIMIZERS, ids=str)
def test_a_run_repeats_and_counts_them(changes: dict[str, Any], tmp_path: Path) -> None:
    """It makes as many steps at the same rates as one without a scale, and goes on from any checkpoint."""
    start(tiny(tmp_path / "run", **changes))
    progress = read(tmp_path / "run" / "checkpoints" / LAST).state["progress"]
    assert progress["step"] == 10
    assert progress["skipped"] > 0
    assert progress["history"][-1]["skipped_steps"] == progress["skipped"]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert f"{progress['skipped']} steps were repeated at a lower loss scale" in " ".join(report["notes"])
    start(tiny(tmp_path / "half", **{**changes, "training": {**changes.get("training", {}), "epochs": 1}}))
    resume(tmp_path / "half", tiny(tmp_path / "half", **changes))
    assert_same_run(tmp_path / "run", tmp_path / "half")


@pytest.mark.usefixtures("scaled")
def test_a_gradient_that_no_scale_makes_finite_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def infinite(logits: Tensor, labels: Tensor) -> Tensor:
        return (logits - logits.detach()).sum() * float("inf")

    monkeypatch.setattr(setup, "criterion", lambda loss: infinite)
    with pytest.raises(NonFiniteError, match="not finite at step 1 at any loss scale"):
        start(tiny(tmp_path / "run"))
