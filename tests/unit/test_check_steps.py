"""The instruments that take steps on a copy, and their lines: each fault made here must be named."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnn_train.check.beginning import beginning, overfitting
from bnn_train.check.flips import flips
from bnn_train.check.line import Line, judge, some, worst
from bnn_train.training.losses import criterion
from check_subject import after, lines, subject, verdicts

WIDE = {"name": "mlp", "width": 128, "depth": 3}
BOP = {"name": "adam", "lr": 0.01, "binary": {"name": "bop"}}


def adam(**keys: Any) -> dict[str, Any]:
    return {"name": "adam", "lr": 0.01, **keys}


# --------------------------------------------------------------------------------------------- flips


@pytest.mark.parametrize("method", ["bnn", "bc", "xnor", "bwn", "bireal"])
def test_flips_of_a_usual_rate_are_ok(method: str) -> None:
    s = subject(method=method, model=WIDE, optimizer=adam(lr=0.003))
    assert verdicts(flips, s) == {"flips": "ok", "latent step": "ok"}


def test_flips_without_binary_layers_say_nothing() -> None:
    assert verdicts(flips, subject(method="fp")) == {}


def test_the_rate_is_that_of_the_weights() -> None:
    """Adam's first step is lr for every weight with a gradient, so lr/2 of U(−1, 1) flip."""
    s = subject(method={"name": "bnn", "latent": {"lr_scale": "none"}}, model=WIDE, optimizer=adam(lr=0.1))
    line = next(flips(s, steps=1))
    rates = [float(word) / 100 for word in line.measured.split() if word.replace(".", "").isdigit()]
    assert rates[:2] == pytest.approx([0.05, 0.05], rel=0.3)


def test_a_rate_far_too_low_is_wrong() -> None:
    line = lines(flips, subject(model=WIDE, optimizer=adam(lr=1e-10)))["flips"]
    assert line.verdict == "wrong"
    assert "raise optimizer.lr" in line.advice


def test_a_rate_far_too_high_is_wrong() -> None:
    found = lines(flips, subject(model=WIDE, optimizer=adam(lr=10.0)))
    assert (found["latent step"].verdict, found["flips"].verdict) == ("wrong", "look")
    assert all("lower optimizer.lr" in line.advice for line in found.values())


def test_a_rate_that_overflows_is_wrong() -> None:
    s = subject(method="bireal", model=WIDE, optimizer={"name": "sgd", "lr": 1e38})
    assert verdicts(flips, s)["flips"] == "wrong"


def test_gradients_lost_in_eps_are_explained() -> None:
    line = lines(flips, subject(model=WIDE, optimizer=adam(lr=1e-3, eps=1e4)))["flips"]
    assert line.verdict == "wrong"
    assert "eps of 10000" in line.advice


def test_weight_decay_on_latents_is_told() -> None:
    optimizer = {"name": "sgd", "lr": 1e-9, "weight_decay_binary": 10.0}
    found = lines(flips, subject(model=WIDE, optimizer=optimizer))
    assert (found["latent decay"].verdict, found["flips"].verdict) == ("wrong", "wrong")
    assert "weight decay" in found["flips"].advice


def test_a_threshold_that_nothing_reaches_is_explained() -> None:
    optimizer = adam(binary={"name": "bop", "threshold": 1.0})
    line = lines(flips, subject(method="bop", model=WIDE, optimizer=optimizer))["flips"]
    assert (line.verdict, "threshold" in line.advice) == ("wrong", True)
    assert verdicts(flips, subject(method="bop", model=WIDE, optimizer=BOP))["flips"] != "wrong"


def test_a_warm_up_is_passed_over() -> None:
    s = subject(model=WIDE, schedule={"name": "constant", "warmup": 1.0, "per": "step"})
    assert "rate 0.01" in lines(flips, s)["flips"].measured


SINKING = [
    {"name": "poly", "per": "step"},
    {"name": "cosine", "per": "step"},
    {"name": "table", "rates": {0: 0.01, 399: 1e-12}},
]


@pytest.mark.parametrize("schedule", SINKING, ids=lambda schedule: schedule["name"])
def test_few_flips_at_the_end_of_a_schedule_are_no_fault(schedule: dict[str, Any]) -> None:
    s = subject(model=WIDE, optimizer=adam(), schedule=schedule, training={"epochs": 400})
    steps = 400 * s.data.batches_per_epoch
    assert verdicts(flips, after(s, steps, 400)) == {"flips": "ok", "latent step": "ok"}


def test_few_flips_at_the_highest_rate_are_a_fault_in_mid_run() -> None:
    s = subject(model=WIDE, optimizer=adam(lr=1e-10), schedule="constant")
    assert verdicts(flips, after(s, 2 * s.data.batches_per_epoch, 2))["flips"] == "wrong"


def test_many_flips_are_a_fault_at_any_rate() -> None:
    schedule = {"name": "table", "rates": {0: 1000.0, 2: 10.0}}
    s = subject(model=WIDE, optimizer=adam(), schedule=schedule, training={"epochs": 3})
    found = lines(flips, after(s, 2 * s.data.batches_per_epoch, 2))
    assert (found["latent step"].verdict, found["flips"].verdict) == ("wrong", "look")
    assert "lower optimizer.lr" in found["flips"].advice


@pytest.mark.parametrize(("epochs", "verdict"), [(0, "wrong"), (2, "ok")])
def test_few_flips_of_a_gamma_that_has_decayed_are_no_fault(epochs: int, verdict: str) -> None:
    bop = {"name": "bop", "gamma": 1e-9, "threshold": 1e-3, "gamma_decay": 0.1, "gamma_every": 1}
    s = subject(method="bop", model=WIDE, optimizer=adam(binary=bop), training={"epochs": 3})
    assert verdicts(flips, after(s, epochs * s.data.batches_per_epoch, epochs))["flips"] == verdict


def test_the_last_rate_of_a_run_that_accumulates() -> None:
    """Of 12 batches an epoch, 5 a step: 3 steps an epoch, and the last of 6 at 5/6 of the cosine."""
    cosine = {"name": "cosine", "per": "step"}
    data = {"train_limit": 400}
    s = subject(model=WIDE, data=data, schedule=cosine, training={"epochs": 2, "accumulate": 5})
    assert s.data.batches_per_epoch == 12
    rate = 0.01 * (1 + math.cos(math.pi * 5 / 6)) / 2
    assert f"rate {rate:.3g}" in next(flips(after(s, 6, 2), steps=1)).measured


@pytest.mark.parametrize(("epochs", "told"), [(0, True), (1, False)])
def test_weight_decay_that_has_ended_is_not_told(epochs: int, told: bool) -> None:
    optimizer = {"name": "sgd", "lr": 1e-9, "weight_decay_binary": 10.0, "weight_decay_epochs": 1}
    s = subject(model=WIDE, optimizer=optimizer)
    found = lines(flips, after(s, epochs * s.data.batches_per_epoch, epochs))
    assert ("latent decay" in found, "weight decay" in found["flips"].advice) == (told, told)


# ------------------------------------------------------------------------------- first loss, one batch


@pytest.mark.parametrize(
    "loss", ["square_hinge", "cross_entropy", {"name": "square_hinge", "reduction": "sum"}]
)
def test_a_guess_costs_what_it_should(loss: Any) -> None:
    """Against a hundred thousand normal logits, in numpy."""
    z = np.random.default_rng(0).standard_normal((100_000, 10))
    if loss == "cross_entropy":
        zero, normal = np.log(10), (np.log(np.exp(z).sum(axis=1)) - z[:, 0]).mean()
    else:
        t = np.where(np.arange(10) == 0, 1, -1)
        zero, normal = 1.0, (np.maximum(0, 1 - t * z) ** 2).mean()
    times = 10 if isinstance(loss, dict) else 1
    found = criterion(subject(loss=loss).experiment.loss).guess(10)
    assert found[0] == pytest.approx(times * zero)
    assert found[1] == pytest.approx(times * normal, rel=0.05)


@pytest.mark.parametrize("loss", ["square_hinge", "cross_entropy"])
def test_the_first_loss_is_ok(loss: str) -> None:
    assert verdicts(beginning, subject(loss=loss)) == {"first loss": "ok"}


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "ok"), (100.0, "look"), (1e38, "wrong")])
def test_logits_that_are_too_large_are_to_look_at(factor: float, verdict: str) -> None:
    """Ternary networks without an output norm begin at many times the loss of a guess, and learn."""
    s = subject(method="xnor", loss="cross_entropy")
    last = [m for m in s.model.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.mul_(factor).mul_(factor)
    assert verdicts(beginning, s)["first loss"] == verdict


def test_the_least_that_one_answer_to_every_image_costs() -> None:
    """Against logits from −2 to 2, ten classes equally frequent, in numpy."""
    logits = np.linspace(-2, 2, 4001)
    hinge = 0.1 * np.maximum(0, 1 - logits) ** 2 + 0.9 * np.maximum(0, 1 + logits) ** 2
    assert criterion(subject(loss="square_hinge").experiment.loss).prior(10) == pytest.approx(
        hinge.min(), abs=1e-6
    )
    summed = subject(loss={"name": "square_hinge", "reduction": "sum"}).experiment
    assert criterion(summed.loss).prior(10) == pytest.approx(10 * hinge.min(), abs=1e-5)
    assert criterion(subject(loss="cross_entropy").experiment.loss).prior(10) == pytest.approx(np.log(10))


@pytest.mark.parametrize(
    ("logit", "epochs", "verdict"),
    [
        (-0.5, 1, "look"),  # the best single answer to four classes: 0.75 an image
        (-0.5, 0, "look"),
        (1.0, 1, "wrong"),  # 3 an image
        (1.0, 0, "look"),
        (math.nan, 0, "wrong"),
    ],
)
def test_a_network_that_gives_every_image_one_answer(logit: float, epochs: int, verdict: str) -> None:
    s = subject(model=WIDE)
    last = [m for m in s.model.modules() if isinstance(m, _BatchNorm)][-1]
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, logit)
    assert verdicts(beginning, after(s, 1 + epochs, epochs)) == {"loss": verdict}


class _Answers(nn.Module):
    """The given logits, whatever the images."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits


@pytest.mark.parametrize(
    ("shift", "offset", "verdict"), [(0, 0, "ok"), (1, 0, "look"), (0, 10, "look"), (1, 10, "wrong")]
)
def test_a_network_that_is_right_may_cost_more_than_the_prior(shift: int, offset: int, verdict: str) -> None:
    """One logit of 0.1, three of 0: (0.9² + 3)/4 = 0.95 an image where it is right, else 1.05; 10 more on
    all of them cost 90. The best single answer costs 0.75, logits 0 cost 1."""
    s = after(subject(), 5, 1)
    labels = s.batch(s.batch_size)[1]
    logits = offset + 0.1 * nn.functional.one_hot((labels + shift) % 4, 4)
    assert verdicts(beginning, dataclasses.replace(s, model=_Answers(logits))) == {"loss": verdict}


def test_one_batch_is_overfitted() -> None:
    assert verdicts(overfitting, subject(model=WIDE)) == {"overfits one batch": "ok"}


@pytest.mark.parametrize("lr", [1e-12, 1e4])
def test_a_batch_that_is_not_learned_is_wrong(lr: float) -> None:
    s = subject(method="xnor", model=WIDE, optimizer={"name": "sgd", "lr": lr}, loss="cross_entropy")
    assert verdicts(overfitting, s)["overfits one batch"] == "wrong"


def test_nothing_of_it_stays() -> None:
    s = subject(model=WIDE)
    before: dict[str, Tensor] = {name: t.clone() for name, t in s.model.state_dict().items()}
    said = [str(line) for instrument in (flips, beginning, overfitting) for line in instrument(s)]
    assert all(torch.equal(t, before[name]) for name, t in s.model.state_dict().items())
    assert [str(line) for instrument in (flips, beginning, overfitting) for line in instrument(s)] == said


# --------------------------------------------------------------------------------------------- lines


def test_verdicts() -> None:
    assert [judge(v, ok=(0, 1), look=(0, 2)) for v in (0.5, 1.5, 3, float("nan"))] == [
        "ok",
        "look",
        "wrong",
        "wrong",
    ]
    assert (worst(["ok", "wrong", "look"]), worst([])) == ("wrong", "ok")
    assert some("abcdef", 2) == "a, b and 4 more"


def test_a_line_gives_advice_where_something_is_amiss() -> None:
    line = Line(name="x", verdict="look", measured="3", healthy="1 to 2", advice="Do this.")
    assert str(line).splitlines()[1] == "       → Do this."
    assert "Do this" not in str(dataclasses.replace(line, verdict="ok"))
