"""The instruments that take steps on a copy, and the twin: each fault made here must be named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_train.check.beginning import beginning, by_heart, guess
from bnn_train.check.flips import flips
from bnn_train.check.line import Line, judge, some, worst
from bnn_train.check.subject import open_subject
from bnn_train.check.twin import twin
from bnn_train.config.loader import load
from check_subject import lines, subject, verdicts
from make_config import write
from tiny import tiny

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
    found = guess(subject(loss=loss).experiment, 10)
    assert found[0] == pytest.approx(times * zero)
    assert found[1] == pytest.approx(times * normal, rel=0.05)


@pytest.mark.parametrize("loss", ["square_hinge", "cross_entropy"])
def test_the_first_loss_is_ok(loss: str) -> None:
    assert verdicts(beginning, subject(loss=loss)) == {"first loss": "ok"}


def test_logits_that_are_too_large_are_wrong() -> None:
    s = subject(method="xnor", loss="cross_entropy")
    last = [m for m in s.model.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.mul_(100)
    assert verdicts(beginning, s)["first loss"] == "wrong"


def test_one_batch_is_learned_by_heart() -> None:
    assert verdicts(by_heart, subject(model=WIDE)) == {"one batch by heart": "ok"}


@pytest.mark.parametrize("lr", [1e-12, 1e4])
def test_a_batch_that_is_not_learned_is_wrong(lr: float) -> None:
    s = subject(method="xnor", model=WIDE, optimizer={"name": "sgd", "lr": lr}, loss="cross_entropy")
    assert verdicts(by_heart, s)["one batch by heart"] == "wrong"


def test_nothing_of_it_stays() -> None:
    s = subject(model=WIDE)
    before: dict[str, Tensor] = {name: t.clone() for name, t in s.model.state_dict().items()}
    said = [str(line) for instrument in (flips, beginning, by_heart) for line in instrument(s)]
    assert all(torch.equal(t, before[name]) for name, t in s.model.state_dict().items())
    assert [str(line) for instrument in (flips, beginning, by_heart) for line in instrument(s)] == said


# ---------------------------------------------------------------------------------------------- twin

DATA = "model: {name: mlp, width: 8}\ndata: {name: synthetic, shape: [1, 6, 6], num_classes: 4}\n"


@pytest.fixture
def chain(workdir: Path) -> Path:
    """configs/fp.yaml and configs/bnn.yaml, which extends it by way of another."""
    write("configs/fp.yaml", f"method: fp\n{DATA}reference: {{top1: 90.0}}\n")
    write("configs/between.yaml", "extends: fp.yaml\ntraining: {epochs: 2}\n")
    return write("configs/bnn.yaml", "extends: between.yaml\nmethod: bnn\n")


def told(config: Path) -> Line:
    return lines(twin, open_subject(load(config), None, config))["real-valued twin"]


def report(folder: str, config: Path, top1: float) -> None:
    text = {"top1": top1, "epochs": 3, "config": load(config).model_dump(mode="json")}
    write(f"{folder}/report.json", json.dumps(text))


def test_a_twin_without_a_report_is_named_with_its_command(chain: Path) -> None:
    line = told(chain)
    assert line.verdict == "look"
    assert "bnn-train --config configs/between.yaml" in line.advice


@pytest.mark.parametrize(("top1", "verdict"), [(89.5, "ok"), (80.0, "look")])
def test_a_twins_report_is_read(top1: float, verdict: str, chain: Path) -> None:
    report("runs/between", Path("configs/between.yaml"), top1)
    line = told(chain)
    assert (line.verdict, f"reached {top1:.2f} %" in line.measured) == (verdict, True)


def test_a_report_elsewhere_under_runs_counts_if_it_is_a_twins(chain: Path) -> None:
    report("runs/trial", chain, 99.0)
    write("runs/broken/report.json", "{")
    assert told(chain).verdict == "look"
    report("runs/other", Path("configs/fp.yaml"), 91.0)
    assert "runs/other/report.json" in told(chain).measured


def test_a_twin_of_another_size_is_told(chain: Path) -> None:
    line = told(write("configs/wide.yaml", "extends: bnn.yaml\nmodel: {width: 16}\n"))
    assert "other options" in line.measured
    assert "other options" not in told(chain).measured


def test_a_config_without_a_twin_is_told_how_to_make_one(workdir: Path) -> None:
    line = told(write("bnn.yaml", f"method: bnn\n{DATA}"))
    assert (line.verdict, "--set method=fp" in line.advice) == ("look", True)


def test_the_twin_itself_needs_none() -> None:
    assert verdicts(twin, subject(method="fp")) == {}


def test_a_run_without_its_config_file_is_compared_too(workdir: Path) -> None:
    s = open_subject(tiny(Path("runs/x")), None, None)
    assert "runs/x/config.yaml" in lines(twin, dataclasses.replace(s))["real-valued twin"].advice


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
