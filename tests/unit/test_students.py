"""Losses of students: Apprentice's scheme A, and the distance from a teacher's inner values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_train.config.schema import Experiment
from bnn_train.data.open import open_data
from bnn_train.errors import RunError
from bnn_train.models.build import build
from bnn_train.spec.annealed import Position
from bnn_train.training.losses.apprentice import Apprentice
from bnn_train.training.losses.feature import Feature
from bnn_train.training.losses.table import terms_of
from bnn_train.training.losses.terms import Context
from bnn_train.training.run import start
from bnn_train.training.setup import build_learner
from tiny import tiny

CPU = torch.device("cpu")
IMAGES, LABELS = torch.randn(6, 1, 6, 6), torch.arange(6) % 4


def log_softmax(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def joint(tmp_path: Path) -> tuple[Experiment, Apprentice]:
    term = {"name": "apprentice", "model": {"name": "mlp", "width": 8, "depth": 2}, "labels": 3.0}
    experiment = tiny(tmp_path, method="dbnn", loss={"terms": [term]})
    (made,) = terms_of(experiment.loss, CPU)
    made.check(open_data(experiment.data, seed=1, device=CPU))
    assert isinstance(made, Apprentice)
    return experiment, made


def test_scheme_a_is_its_formula(tmp_path: Path) -> None:
    """a·H(y, p_T) + H(softmax(z_T), p_S): mean −log p of the labels, and −Σ p_T·log p_S."""
    _, term = joint(tmp_path)
    logits = torch.randn(6, 4, requires_grad=True)
    assert term.trained is not None
    taught = log_softmax(term.trained(IMAGES).detach().double().numpy())
    own = log_softmax(logits.detach().double().numpy())
    expected = 3 * -taught[range(6), LABELS].mean() - (np.exp(taught) * own).sum(axis=1).mean()
    loss = term(Context(IMAGES, logits, LABELS, term.trained, Position()))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad, (np.exp(own) - np.exp(taught)) / 6, atol=1e-6)


def test_the_answers_do_not_train_the_teacher(tmp_path: Path) -> None:
    """Its gradient is that of its own labels."""
    _, term = joint(tmp_path)
    assert term.trained is not None
    found = []
    for logits in (torch.zeros(6, 4), 9 * torch.randn(6, 4)):
        term.trained.zero_grad()
        term(Context(IMAGES, logits, LABELS, term.trained, Position())).backward()
        found.append([p.grad.clone() for p in term.trained.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_the_optimizer_and_the_checkpoint_hold_the_teacher(tmp_path: Path) -> None:
    experiment, term = joint(tmp_path)
    learner = build_learner(
        experiment, build(experiment.model, experiment.method, (1, 6, 6), 4), CPU, (term,)
    )
    assert term.trained is not None
    held = {id(p) for group in learner.optimizers.main.param_groups for p in group["params"]}
    assert {id(p) for p in term.trained.parameters()} <= held
    stored = {name for name in learner.tensors() if name.startswith("terms.0.")}
    assert stored == {f"terms.0.{name}" for name in term.trained.state_dict()}


# --------------------------------------------------------------------------------- inner values


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the real-valued twin."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    start(tiny(folder, method="fp", training={"epochs": 1}, loss="cross_entropy"))
    return folder


def feature(teacher: Path, layers: list[str], **changes: Any) -> tuple[nn.Module, Feature]:
    term = {"name": "feature", "teacher": str(teacher), "layers": layers}
    experiment = tiny(teacher.parent / "x", **{"method": "bwn", **changes}, loss={"terms": [term]})
    (made,) = terms_of(experiment.loss, CPU)
    model = build(experiment.model, experiment.method, (1, 6, 6), 4)
    build_learner(experiment, model, CPU, (made,))
    assert isinstance(made, Feature)
    return model, made


def test_the_distance_is_its_formula(teacher: Path) -> None:
    model, term = feature(teacher, ["norm*"])
    seen: dict[str, Tensor] = {}
    for network, whose in ((model, "own"), (term.teacher.model, "taught")):
        for name in ("norm1", "norm2"):
            network.get_submodule(name).register_forward_hook(
                lambda _, __, out, key=f"{whose} {name}": seen.__setitem__(key, out)
            )
    loss = term(Context(IMAGES, model(IMAGES), LABELS, model, Position()))
    parts = [seen[f"own norm{i}"] - seen[f"taught norm{i}"] for i in (1, 2)]
    expected = sum(float((part.detach().double().numpy() ** 2).mean()) for part in parts)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    seen["own norm2"].retain_grad()
    loss.backward()
    gradient = seen["own norm2"].grad
    assert gradient is not None
    np.testing.assert_allclose(gradient, 2 * parts[1].detach() / parts[1].numel(), atol=1e-7)


def test_evaluations_leave_it_alone(teacher: Path) -> None:
    model, term = feature(teacher, ["norm1"])
    logits = model(IMAGES)
    before = term(Context(IMAGES, logits, LABELS, model, Position())).item()
    model.eval()(torch.randn(3, 1, 6, 6))
    assert term(Context(IMAGES, logits, LABELS, model, Position())).item() == before


@pytest.mark.parametrize(
    ("layers", "changes", "told"),
    [
        (["norm9"], {}, "'norm9' is no module of the teacher, which has flatten, linear1"),
        (["norm3"], {"method": "bnn"}, "'norm3' is no module of the teacher"),
        (["act?", "norm?"], {"method": "bnn"}, "'act?' is no module of the network"),
        (["norm?"], {"method": "bnn"}, "norm3 of the network are none of the teacher's"),
    ],
)
def test_modules_that_are_not_there(
    teacher: Path, layers: list[str], changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(RunError) as error:
        feature(teacher, layers, **changes)
    assert told in str(error.value)


def test_another_width_is_told(teacher: Path) -> None:
    model, term = feature(teacher, ["norm1"], model={"width": 8})
    with pytest.raises(RunError, match=r"norm1 gives \[8\] in the network and \[16\] in the teacher"):
        term(Context(IMAGES, model(IMAGES), LABELS, model, Position()))
