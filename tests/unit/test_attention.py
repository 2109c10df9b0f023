"""Attention transfer and the taps under it: the formula in numpy, hooks that leave nothing, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_train.errors import RunError
from bnn_train.spec.annealed import START
from bnn_train.training.losses.attention import attention
from bnn_train.training.losses.table import terms_of
from bnn_train.training.losses.taps import chosen, tapped
from bnn_train.training.losses.terms import Context, weighted_sum
from bnn_train.training.run import start
from tiny import tiny

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 5, 2, 4)).astype(np.float32)


@pytest.mark.parametrize("norm", ["max", "l2"])
def test_the_map_is_its_formula(norm: str) -> None:
    q = (A.astype(np.float64) ** 2).mean(axis=1).reshape(3, 8)
    by = q.max(axis=1, keepdims=True) if norm == "max" else np.sqrt((q**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(attention(torch.from_numpy(A), norm).numpy(), q / by, rtol=1e-6)


def test_a_map_of_zeros_stays_so_and_has_a_gradient_without_nan() -> None:
    x = torch.zeros(2, 3, 2, 2, requires_grad=True)
    attention(x, "l2").sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert not attention(x, "max").any()


def two() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 1)))


def test_taps_give_outputs_in_the_order_in_which_modules_run_and_leave_no_hook() -> None:
    model, x = two(), torch.ones(1, 2)
    with tapped(model, ["1.*", "0"]) as outputs:
        y = model(x)
    assert list(outputs) == ["0", "1.0", "1.1"]
    assert torch.equal(outputs["1.1"], y)
    assert outputs["1.0"].requires_grad
    model(x + 1)
    assert torch.equal(outputs["1.1"], y)
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(RuntimeError), tapped(model, ["*"]):
        model(torch.ones(1, 5))
    assert not any(module._forward_hooks for module in model.modules())


def test_without_patterns_nothing_is_hooked() -> None:
    with tapped(two(), []) as outputs:
        assert outputs == {}


def test_a_pattern_that_names_nothing_is_refused() -> None:
    with pytest.raises(RunError, match="'stage9' names no module of the teacher"):
        chosen({"stage1": torch.ones(1)}, ["stage?", "stage9"], "teacher")


RESNET: dict[str, Any] = {
    "model": {"name": "resnet20", "width": 4},
    "data": {"shape": [1, 8, 8]},
    "loss": "cross_entropy",
    "training": {"epochs": 1},
}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real ResNet-20 that has run."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    start(tiny(folder, method="fp", **RESNET))
    return folder


def loss(teacher: Path, **keys: Any) -> dict[str, Any]:
    term = {"name": "attention", "teacher": str(teacher), **keys}
    return {"name": "cross_entropy", "base_weight": 0.0, "terms": [term]}


def context(outputs: dict[str, Tensor]) -> Context:
    images = torch.linspace(-1, 1, 2 * 64).view(2, 1, 8, 8)
    return Context(images, torch.zeros(2, 4), torch.zeros(2).long(), nn.Identity(), START, outputs)


def test_the_term_compares_blocks_of_both(teacher: Path) -> None:
    (term,) = terms_of(tiny(teacher, loss=loss(teacher, blocks=["stage?"])).loss, CPU)
    seen = context({})
    taught = term.teacher.outputs(seen.images, ["stage?"])  # type: ignore[attr-defined]  # of attention
    assert list(taught) == ["stage1", "stage2", "stage3"]
    own = {name: output + 0.5 for name, output in taught.items()}
    expected = []
    for name, output in taught.items():
        q = [(x.double().numpy() ** 2).mean(axis=1).reshape(2, -1) for x in (own[name], output)]
        s, t = (x / x.max(axis=1, keepdims=True) for x in q)
        expected.append(((s - t) ** 2).mean())
    assert float(term(context(own))) == pytest.approx(np.mean(expected), rel=1e-5)
    assert float(term(context(taught))) == 0


@pytest.mark.parametrize(
    ("blocks", "theirs", "told"),
    [
        (["a"], ["stage1", "stage2"], r"compares 1 blocks \(a\) with 2 of the teacher \(stage1, stage2\)"),
        (["a"], ["stage2"], "a, 4×8×8, with the teacher's stage2, 8×4×4"),
        (["b"], ["stage1"], "b, 4, with"),
        (["c"], ["stage1"], "'c' names no module of the network"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(
    blocks: list[str], theirs: list[str], told: str, teacher: Path
) -> None:
    keys = {"blocks": blocks, "teacher_blocks": theirs}
    (term,) = terms_of(tiny(teacher, loss=loss(teacher, **keys)).loss, CPU)
    with pytest.raises(RunError, match=told):
        term(context({"a": torch.ones(2, 4, 8, 8), "b": torch.ones(2, 4)}))


def test_a_run_learns_from_the_term_alone(teacher: Path, tmp_path: Path) -> None:
    e = tiny(tmp_path / "run", method="bireal", **{**RESNET, "loss": loss(teacher)})
    start(e)
    assert (tmp_path / "run" / "report.json").is_file()


def test_a_base_of_no_weight_is_left_out() -> None:
    found = weighted_sum(torch.tensor(3.0), (), context({}), 0.0)
    assert float(found) == 0
    assert float(weighted_sum(torch.tensor(3.0), (), context({}), 0.5)) == 1.5
