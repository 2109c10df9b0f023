"""The instruments for norms, ties and latent weights: each fault made here must be named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnn_train.binary.layers import binary_layers
from bnn_train.binary.weight_quantizer import WeightQuantizer
from bnn_train.check.latents import latents
from bnn_train.check.norms import norms
from bnn_train.check.subject import Subject
from bnn_train.check.ties import ties
from check_subject import lines, subject, verdicts

BOP = {"name": "adam", "lr": 0.01, "binary": {"name": "bop"}}
RESNET = {"model": {"name": "resnet20", "width": 8}, "data": {"shape": [3, 16, 16]}}


def exchange(s: Subject, name: str, *modules: nn.Module) -> None:
    """Put other modules in the place of one."""
    parent, _, child = name.rpartition(".")
    setattr(s.model.get_submodule(parent), child, nn.Sequential(*modules))


def norm(s: Subject, name: str = "norm1") -> _BatchNorm:
    found = s.model.get_submodule(name)
    assert isinstance(found, _BatchNorm)
    return found


@pytest.mark.parametrize("method", ["bnn", "bnn_stochastic", "xnor", "xnor_k", "dorefa", "bireal"])
@pytest.mark.parametrize(
    "network", [{}, RESNET, {"model": "lenet5", "data": {"shape": [1, 16, 16]}}], ids=str
)
def test_norms_stand_before_every_sign_of_ours(method: str, network: dict[str, Any]) -> None:
    line = lines(norms, subject(method=method, **network))["norm before sign"]
    assert line.verdict == "ok", str(line)


@pytest.mark.parametrize("method", ["fp", "bwn", "twn"])
def test_without_quantized_inputs_there_is_nothing_to_say(method: str) -> None:
    assert verdicts(norms, subject(method=method)) == {}
    assert verdicts(ties, subject(method=method)) == {}


def test_shift_norms_count() -> None:
    found = verdicts(norms, subject(method={"name": "bnn", "norm": {"kind": "shift"}}))
    assert set(found.values()) == {"ok"}


def test_residual_sums_of_norms_are_told() -> None:
    line = lines(norms, subject(method="bireal", **RESNET))["norm before sign"]
    assert "as a residual sum" in line.measured


def test_a_sign_without_a_norm_is_wrong_and_named() -> None:
    s = subject()
    exchange(s, "norm1", nn.Identity())
    line = lines(norms, s)["norm before sign"]
    assert line.verdict == "wrong"
    assert "none before linear2" in line.measured
    assert "linear2: put a batch norm" in line.advice


def test_a_branch_without_a_norm_is_to_look_at() -> None:
    s = subject(method="bireal", **RESNET)
    exchange(s, "stem.1", nn.Identity())
    line = lines(norms, s)["norm before sign"]
    assert line.verdict == "wrong"  # the first block reads the stem alone
    assert "none before stage1.0.body.0" in line.measured
    assert "17 of 18" in line.measured


def test_a_relu_before_a_sign_is_wrong_in_each_instrument() -> None:
    s = subject()
    exchange(s, "norm1", norm(s), nn.ReLU())
    found = lines(norms, s)
    assert (found["norm before sign"].verdict, found["activations"].verdict) == ("wrong", "wrong")
    assert "a ReLU before linear2" in found["norm before sign"].measured
    assert "positive 100 %" in found["activations"].measured
    assert verdicts(ties, s)["sign ties"] == "wrong"


def test_dead_channels_are_wrong() -> None:
    s = subject()
    nn.init.constant_(norm(s).bias, 10.0)
    found = lines(norms, s)
    assert (found["activations"].verdict, found["norm γ and β"].verdict) == ("wrong", "look")
    assert "channels whose code never changes 100 % at most (linear2)" in found["activations"].measured
    assert "|β| > 3|γ| 44.4 %" in found["norm γ and β"].measured  # 16 of 16 + 16 + 4 output channels


def test_negative_gammas_are_counted() -> None:
    s = subject()
    with torch.no_grad():
        norm(s).weight[:4] = -1  # of 16 + 16 + 4 output channels
    assert "γ < 0 11.1 %" in lines(norms, s)["norm γ and β"].measured


def test_nan_in_a_norm_is_wrong() -> None:
    s = subject()
    nn.init.constant_(norm(s).bias, torch.nan)
    assert verdicts(norms, s)["norm γ and β"] == "wrong"
    line = lines(ties, s)["sign ties"]
    assert line.verdict == "wrong"
    assert "NaN reaches linear2" in line.advice


class _Zeroed(nn.Module):
    """Every ``each``-th number becomes ``value``."""

    def __init__(self, each: int, value: float) -> None:
        super().__init__()
        self.each, self.value = each, value

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten()
        mask = torch.arange(flat.numel()) % self.each == 0
        return torch.where(mask, self.value, flat).view_as(x)


@pytest.mark.parametrize(("each", "verdict"), [(2, "wrong"), (32, "look"), (10**9, "ok")])
def test_ties_are_counted(each: int, verdict: str) -> None:
    s = subject(model={"name": "mlp", "width": 128, "depth": 2})
    exchange(s, "norm1", norm(s), _Zeroed(each, -0.0))
    line = lines(ties, s)["sign ties"]
    assert line.verdict == verdict
    if each < 10**9:
        assert f"exact zeros {100 / each:.3g} % at most (linear2), −0.0 {100 / each:.3g} %" in line.measured


# ------------------------------------------------------------------------------------ latent weights


def weight(s: Subject) -> Tensor:
    return next(layer.weight.data for _, layer in binary_layers(s.model))


@pytest.mark.parametrize("method", ["bnn", "bc", "xnor", "bwn", "twn", "dorefa", "bireal"])
def test_fresh_latents_are_ok(method: str) -> None:
    assert set(verdicts(latents, subject(method=method, **RESNET)).values()) == {"ok"}


def test_latents_beyond_the_clip_are_wrong_and_named() -> None:
    s = subject()
    weight(s)[0, 0] = 1.5
    line = lines(latents, s)["latent weights"]
    assert line.verdict == "wrong"
    assert "linear1" in line.advice


@pytest.mark.parametrize("estimator", ["identity", "clip", "clip_open", "approx_sign"])
@pytest.mark.parametrize("gradient", ["identity", "detached", "exact", "official"])
def test_latents_beyond_a_mask_are_to_look_at(gradient: str, estimator: str) -> None:
    """Where the method lets no gradient through to a weight of ±3, and only there."""
    axes = {"weight": {"gradient": gradient, "estimator": estimator}, "latent": {"clip": None}}
    s = subject(method={"name": "xnor", **axes})
    weight(s).sign_().mul_(3)
    layer = next(layer for _, layer in binary_layers(s.model))
    w = weight(s).clone().requires_grad_()
    quantized = WeightQuantizer(layer.method.weight, w, centered=False)(w)
    (quantized * torch.rand_like(w)).sum().backward()
    frozen = not bool(w.grad is not None and w.grad.any())
    line = lines(latents, s)["latent weights"]
    assert line.verdict == ("look" if frozen else "ok")
    assert frozen == (gradient == "detached" and estimator != "identity")


@pytest.mark.parametrize(("share", "verdict"), [(0.25, "ok"), (0.75, "look"), (1.0, "wrong")])
def test_latents_at_the_clip(share: float, verdict: str) -> None:
    s = subject()
    rows = int(share * len(weight(s)))
    weight(s)[:rows] = weight(s)[:rows].sign()
    assert verdicts(latents, s)["latent weights"] == verdict


def test_nan_latents_are_wrong() -> None:
    s = subject()
    weight(s)[0, 0] = torch.nan
    line = lines(latents, s)["latent weights"]
    assert (line.verdict, "NaN" in line.measured) == ("wrong", True)


def test_weights_of_one_sign_are_wrong() -> None:
    s = subject()
    weight(s).abs_()
    assert verdicts(latents, s)["latent balance"] == "wrong"


def test_stored_weights_must_be_signs() -> None:
    s = subject(method="bop", optimizer=BOP)
    assert verdicts(latents, s) == {"stored weights": "ok"}
    weight(s)[0, 0] = 0.5
    line = lines(latents, s)["stored weights"]
    assert (line.verdict, "linear1" in line.measured) == ("wrong", True)
