"""Instruments and single methods: gates, weights above 0, networks that start from others, no norms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from bnn_train.check.beginning import beginning
from bnn_train.check.latents import latents
from bnn_train.check.norms import norms
from bnn_train.config.schema import InitFrom
from check_subject import lines, subject, verdicts

RESNET: dict[str, Any] = {"model": {"name": "resnet20", "width": 4}, "data": {"shape": [3, 16, 16]}}


def test_norms_are_found_behind_the_gates_and_means_of_branches() -> None:
    method = {"name": "groupnet", "block": {"branches": 2}}
    line = lines(norms, subject(method=method, **RESNET))["norm before sign"]
    assert line.verdict == "ok", str(line)


def test_a_factor_for_each_channel_is_still_told() -> None:
    assert lines(norms, subject(method="reactnet", **RESNET))["norm before sign"].verdict == "look"


def test_a_method_without_norms_is_not_asked_for_them() -> None:
    assert set(verdicts(norms, subject(method="tea"))) == {"activations", "norm γ and β"}


@pytest.mark.parametrize("started", [False, True])
def test_weights_that_begin_above_0_are_balanced_later(started: bool) -> None:
    s = subject(method="reactnet", **RESNET)
    if started:
        training = s.experiment.training.model_copy(update={"init_from": InitFrom(checkpoint="runs/a")})
        s = replace(s, experiment=s.experiment.model_copy(update={"training": training}))
    assert verdicts(latents, s)["latent balance"] == ("wrong" if started else "ok")


@pytest.mark.parametrize(("scale", "verdict"), [(1e4, "ok"), (float("nan"), "wrong")])
def test_a_started_network_need_not_guess(scale: float, verdict: str) -> None:
    s = subject(method="bnn", loss="cross_entropy")
    training = s.experiment.training.model_copy(update={"init_from": InitFrom(checkpoint="runs/a")})
    with torch.no_grad():
        for p in s.model.parameters():
            p.mul_(scale)
    line = lines(beginning, replace(s, experiment=s.experiment.model_copy(update={"training": training})))
    assert line["first loss"].verdict == verdict
    assert "runs/a" in line["first loss"].measured
    assert verdicts(beginning, s)["first loss"] != "ok"
