"""A loss of a base and a term of distillation: its formula in numpy, its teacher, its weight in training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bnn_train.config.loader import from_mapping, load
from bnn_train.config.schema import Distillation
from bnn_train.data.open import open_data
from bnn_train.errors import BnnError, CheckpointError, RunError
from bnn_train.spec.annealed import Position
from bnn_train.training.checkpoint import BEST, LAST, read
from bnn_train.training.losses.distillation import softened_divergence
from bnn_train.training.losses.table import terms_of
from bnn_train.training.losses.terms import Context, weighted_sum
from bnn_train.training.restore import model_of
from bnn_train.training.run import resume, start
from same_run import assert_same_run
from tiny import tiny

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
STUDENT, TAUGHT = RNG.normal(size=(6, 4)) * 3, RNG.normal(size=(6, 4)) * 2


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_the_formula(temperature: float) -> None:
    """arXiv 1503.02531, §2: T² times the divergence of the network from the teacher, both softened."""
    p, q = softmax(TAUGHT / temperature), softmax(STUDENT / temperature)
    expected = temperature**2 * (p * (np.log(p) - np.log(q))).sum(axis=1).mean()
    found = softened_divergence(torch.from_numpy(STUDENT), torch.from_numpy(TAUGHT), temperature)
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_its_gradient_is_that_of_the_softened_cross_entropy() -> None:
    """Ibid., eq. 2: ∂C/∂z = (q − p)/T for each image, here times T²/N."""
    z = torch.from_numpy(STUDENT).requires_grad_()
    softened_divergence(z, torch.from_numpy(TAUGHT), 3.0).backward()
    assert z.grad is not None
    expected = 3.0 * (softmax(STUDENT / 3) - softmax(TAUGHT / 3)) / 6
    np.testing.assert_allclose(z.grad.numpy(), expected, rtol=1e-12)


def test_of_equal_logits_it_is_nothing() -> None:
    assert float(softened_divergence(torch.from_numpy(TAUGHT), torch.from_numpy(TAUGHT) + 5, 2.0)) < 1e-12


# ----------------------------------------------------------------------------------------- in a run


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose evaluations read a moving average in bfloat16."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    start(tiny(folder, method="fp", training={"epochs": 1, "ema": 0.5, "amp": "bf16"}))
    return folder


def loss(teacher: Path | str, name: str = "square_hinge", **keys: Any) -> dict[str, Any]:
    return {"name": name, "terms": [{"name": "distillation", "teacher": str(teacher), **keys}]}


def images() -> Tensor:
    return torch.linspace(-1, 1, 8 * 36).view(8, 1, 6, 6)


def test_the_teacher_answers_as_its_own_run_evaluates_it(teacher: Path) -> None:
    [term] = terms_of(tiny(teacher, loss=loss(teacher)).loss, CPU)
    model = model_of(read(teacher / "checkpoints" / BEST), CPU)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = model(images())
    found = term.teacher(images())  # type: ignore[attr-defined]  # of a distillation
    assert torch.equal(found, expected.float())
    assert not found.requires_grad


@pytest.mark.parametrize(("epoch", "weight", "temperature"), [(0, 1.0, 8.0), (1, 0.5, 4.0), (2, 0.0, 2.0)])
def test_the_sum_follows_the_position(epoch: int, weight: float, temperature: float, teacher: Path) -> None:
    section = loss(
        teacher, weight={"from": 1.0, "to": 0.0}, temperature={"from": 8.0, "to": 2.0, "curve": "exponential"}
    )
    terms = terms_of(tiny(teacher, loss=section).loss, CPU)
    logits = torch.linspace(-2, 2, 32).view(8, 4)
    taught = terms[0].teacher(images())  # type: ignore[attr-defined]  # of a distillation
    position = Position(step=5 * epoch, epoch=float(epoch), epochs=2)
    context = Context(images(), logits, torch.arange(8) % 4, torch.nn.Identity(), position)
    p, q = softmax(taught.double().numpy() / temperature), softmax(logits.double().numpy() / temperature)
    divergence = temperature**2 * (p * (np.log(p) - np.log(q))).sum(axis=1).mean()
    found = weighted_sum(torch.tensor(3.0), terms, context)
    assert float(found) == pytest.approx(3.0 + weight * divergence, rel=1e-4)


def test_a_weight_of_nothing_changes_nothing(teacher: Path, tmp_path: Path) -> None:
    start(tiny(tmp_path / "plain"))
    start(tiny(tmp_path / "term", loss=loss(teacher, weight=0.0)))
    plain, term = (read(tmp_path / name / "checkpoints" / LAST) for name in ("plain", "term"))
    assert all(torch.equal(t, term.tensors[name]) for name, t in plain.tensors.items())


def test_training_follows_the_teacher_and_evaluation_has_the_base(teacher: Path, tmp_path: Path) -> None:
    start(tiny(tmp_path / "plain"))
    report = start(tiny(tmp_path / "term", loss=loss(teacher, weight=10.0)))
    plain, term = (read(tmp_path / name / "checkpoints" / LAST) for name in ("plain", "term"))
    assert not torch.equal(plain.tensors["model.linear1.weight"], term.tensors["model.linear1.weight"])
    entry = report["history"][0]
    assert entry["train_loss"] > 2 * entry["validation_loss"]
    data = open_data(tiny(tmp_path).data, seed=3, device=CPU)
    batch, labels = next(data.eval_batches("test"))
    model = model_of(read(tmp_path / "term" / "checkpoints" / BEST), CPU)
    with torch.no_grad():
        targets = torch.where(torch.nn.functional.one_hot(labels, 4) == 1, 1.0, -1.0)
        expected = (1 - targets * model(batch)).clamp(min=0).square().mean()
    assert report["loss"] == pytest.approx(float(expected), rel=1e-5)
    assert "The loss has a term of distillation from fp mlp (…/run)." in report["notes"]


ANNEALED: dict[str, Any] = {"weight": {"from": 2.0, "to": 0.0, "per": "step", "over": 2}}


@pytest.mark.parametrize("stop", [2, 5, 7])
def test_a_resumed_run_is_the_same(
    stop: int, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped inside an epoch, and at its end; the weight of the term is another at every step."""
    from bnn_train.training import records
    from bnn_train.training.progress import Progress

    changes = {"loss": loss(teacher, **ANNEALED), "training": {"checkpoint_every": 1}}
    start(tiny(tmp_path / "straight", **changes))
    real = records.Recorder.save

    def dying(self: records.Recorder, progress: Progress, *, best: bool = False) -> None:
        real(self, progress, best=best)
        if progress.step == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(records.Recorder, "save", dying)
    with pytest.raises(KeyboardInterrupt):
        start(tiny(tmp_path / "run", **changes))
    monkeypatch.undo()
    resume(tmp_path / "run", None)
    assert_same_run(tmp_path / "straight", tmp_path / "run")


def test_a_resumed_run_wants_the_same_teacher_wherever_it_lies(teacher: Path, tmp_path: Path) -> None:
    file, moved = tmp_path / "teacher.safetensors", tmp_path / "moved.safetensors"
    shutil.copyfile(teacher / "checkpoints" / BEST, file)
    start(tiny(tmp_path / "run", loss=loss(file), training={"epochs": 1}))
    stored = read(tmp_path / "run" / "checkpoints" / LAST).state["experiment"]
    assert stored["loss"]["terms"][0]["teacher"]["checkpoint"] == str(file)  # as the run's config.yaml has it
    shutil.copytree(tmp_path / "run" / "checkpoints", tmp_path / "away")
    away = read(tmp_path / "away" / LAST).state["experiment"]
    assert away["loss"]["terms"][0]["teacher"]["checkpoint"] == "…/teacher.safetensors"
    file.rename(moved)
    with pytest.raises(CheckpointError, match=r"^loss.terms, teacher: .*no such checkpoint"):
        resume(tmp_path / "run", None)
    again = tiny(tmp_path / "run", loss=loss(moved))
    other = tmp_path / "other.safetensors"
    shutil.copyfile(teacher / "checkpoints" / LAST, other)
    other.write_bytes(other.read_bytes() + b" ")
    with pytest.raises(CheckpointError, match="has SHA-256"):
        resume(tmp_path / "run", tiny(tmp_path / "run", loss=loss(other)))
    assert resume(tmp_path / "run", again)["epochs"] == 2


def test_another_number_of_epochs_stretches_no_annealed_number(teacher: Path, tmp_path: Path) -> None:
    start(tiny(tmp_path / "run", loss=loss(teacher, weight={"from": 1.0, "to": 0.0}), training={"epochs": 1}))
    longer = loss(teacher, weight={"from": 1.0, "to": 0.0})
    with pytest.raises(RunError, match=r"loss\.terms\.0\.weight from 1 to 2 epochs.*weight\.over: 1"):
        resume(tmp_path / "run", tiny(tmp_path / "run", loss=longer))
    kept = loss(teacher, weight={"from": 1.0, "to": 0.0, "over": 1})
    assert resume(tmp_path / "run", tiny(tmp_path / "run", loss=kept))["epochs"] == 2
    other = loss(teacher, weight={"from": 3.0, "to": 0.0, "over": 1})
    with pytest.raises(RunError, match=r"loss\.terms\.0\.weight\.from: 1\.0 → 3\.0"):
        resume(tmp_path / "run", tiny(tmp_path / "run", loss=other))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": {"num_classes": 3}}, "it knows 4 classes .0, 1, 2, 3., the data has 3 classes"),
        ({"data": {"shape": [1, 7, 7]}}, "it reads images 1×6×6, the network 1×7×7"),
        ({"data": {"normalize": ["unit"]}}, "its images are normalized by signed, those of the data by unit"),
    ],
)
def test_a_teacher_of_other_data_is_refused(
    changes: dict[str, Any], told: str, teacher: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=told):
        start(tiny(tmp_path / "run", loss=loss(teacher), **changes))
    assert not (tmp_path / "run").exists()


def test_a_teacher_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BnnError, match=r"^loss.terms, teacher: nowhere: no such checkpoint"):
        start(tiny(tmp_path / "run", loss=loss("nowhere")))
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------------------------------- in configs


def test_a_loss_of_an_earlier_release_has_no_terms() -> None:
    old = tiny(Path("run")).model_dump(mode="json")
    del old["loss"]["terms"]
    del old["training"]["init_from"]
    assert from_mapping(json.loads(json.dumps(old))) == tiny(Path("run"))


def test_a_bare_path_may_be_written_and_changed(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "method: bnn\nmodel: mlp\ndata: mnist\ntraining: {init_from: runs/a}\n"
        "loss: {name: square_hinge, terms: [{name: distillation, teacher: runs/t}]}\n"
    )
    found = load(config, ["training.init_from.skip=[last]"])
    start_from, [term] = found.training.init_from, found.loss.terms
    assert start_from is not None
    assert (start_from.checkpoint, start_from.skip, start_from.strict) == ("runs/a", ("last",), False)
    assert isinstance(term, Distillation)
    assert (term.teacher.checkpoint, term.weight, term.temperature) == ("runs/t", 1.0, 4.0)
