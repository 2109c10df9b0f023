"""Weight and activation statistics against numpy, on weights and images made for the purpose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.inspect.diagnostics import activation_statistics, flip_rates, latent_statistics, packed_codes
from bnn_train.spec.methods import METHODS

BNN = METHODS["bnn"]


def net(method: str = "bnn") -> nn.Sequential:
    row = METHODS[method]
    return nn.Sequential(
        BinaryConv2d(2, 3, 3, method=row, role="body", padding=1),
        nn.BatchNorm2d(3),
        nn.Flatten(),
        BinaryLinear(3 * 16, 5, method=row, role="last"),
    )


def test_packed_codes_are_the_sign_bits() -> None:
    layer = BinaryLinear(5, 2, method=BNN, role="body")
    layer.weight.data = torch.tensor([[-1.0, 0.0, -0.0, 2.0, -3.0], [math.nan, -1e-30, 1.0, -math.inf, 4.0]])
    signs = packed_codes(nn.Sequential(layer))
    assert list(signs) == ["0"]
    assert signs["0"].dtype == torch.uint8
    assert signs["0"].tolist() == [0b10001_010, 0b10_000000]


def test_flip_rates_count_changed_signs() -> None:
    model = net()
    before = packed_codes(model)
    assert flip_rates(model, before) == {"0": 0.0, "3": 0.0}
    first, last = dict(model.named_parameters())["0.weight"], dict(model.named_parameters())["3.weight"]
    with torch.no_grad():
        first.view(-1)[:7] *= -1  # of 54
        last.neg_()
        first.view(-1)[7:] *= 0.5
    assert flip_rates(model, before) == {"0": 7 / 54, "3": 1.0}


def test_flips_of_ternary_weights_are_changes_of_the_code() -> None:
    """Δ = 0.75·mean|w| = 0.75: a change of sign below it flips nothing, one across it flips without it."""
    layer = BinaryLinear(4, 1, method=METHODS["twn"], role="body")
    layer.weight.data = torch.tensor([[1.9, -1.9, 0.1, -0.1]])
    model = nn.Sequential(layer)
    before = packed_codes(model)
    first, second = 1.0 - 2.0 * np.unpackbits(before["0"].numpy()).reshape(2, 4)
    assert ((first + second) / 2).tolist() == [1, -1, 0, 0]
    layer.weight.data = torch.tensor([[1.9, -1.9, -0.1, -0.1]])
    assert flip_rates(model, before) == {"0": 0.0}
    layer.weight.data = torch.tensor([[1.9, -1.9, 0.1, 1.9]])
    assert flip_rates(model, before) == {"0": 0.25}
    assert latent_statistics(model)["0"]["positive"] == pytest.approx((2 + 0.5 * 1) / 4)


def test_flip_rates_leave_out_layers_without_a_past() -> None:
    model = net()
    assert flip_rates(model, {}) == {}
    assert list(flip_rates(model, {"3": packed_codes(model)["3"]})) == ["3"]


def test_real_layers_have_no_signs() -> None:
    model = nn.Sequential(nn.Linear(4, 4), BinaryLinear(4, 4, method=METHODS["xnor"], role="last"))
    assert packed_codes(model) == {}
    assert latent_statistics(model) == {}


@pytest.mark.parametrize("clip", [1.0, 0.3])
def test_latent_statistics(clip: float) -> None:
    row = BNN.model_copy(update={"latent": BNN.latent.model_copy(update={"clip": clip})})
    layer = BinaryLinear(100, 30, method=row, role="body")
    nn.init.normal_(layer.weight).data.clamp_(-clip, clip)[:, 0] = 0.0
    w = layer.weight.detach().numpy()
    entry = latent_statistics(nn.Sequential(layer))["0"]
    assert entry["at_clip"] == np.mean(np.abs(w) == np.float32(clip)) > 0
    assert entry["positive"] == np.mean(w >= 0)
    assert entry["mean_abs"] == pytest.approx(np.abs(w.astype(np.float64)).mean(), rel=1e-5)


def test_no_clip_no_share_at_it() -> None:
    layer = BinaryLinear(4, 4, method=METHODS["twn"], role="body")
    assert "at_clip" not in latent_statistics(nn.Sequential(layer))["0"]


def test_activation_statistics() -> None:
    """Channel 0 always negative, channel 1 changes sign: half of the channels are dead."""
    images = torch.stack([-torch.rand(8, 4, 4) - 0.1, torch.randn(8, 4, 4)], dim=1)
    result = activation_statistics(net(), images)
    assert list(result) == ["0", "3"]
    assert result["0"] == {"positive": float((images.numpy() >= 0).mean()), "dead": 0.5}


def test_activation_statistics_of_a_dense_layer() -> None:
    images = torch.zeros(6, 4)
    images[3, 1] = -1.0
    model = nn.Sequential(BinaryLinear(4, 2, method=BNN, role="body"))
    assert activation_statistics(model, images) == {"0": {"positive": 23 / 24, "dead": 3 / 4}}


def test_dead_means_a_constant_code() -> None:
    """2-bit codes of [0, 1]: channel 0 rounds to ⅓ everywhere, channel 1 to ⅓ and ⅔."""
    images = torch.tensor([[0.3, 0.3], [0.35, 0.6]])
    model = nn.Sequential(BinaryLinear(2, 2, method=METHODS["dorefa"], role="body"))
    assert activation_statistics(model, images) == {"0": {"positive": 1.0, "dead": 0.5}}


def test_layers_with_real_inputs_are_not_watched() -> None:
    assert activation_statistics(net("bc"), torch.randn(2, 2, 4, 4)) == {}


@pytest.mark.parametrize("method", ["bnn", "bnn_stochastic", "bc_stochastic", "xnor_k"])
def test_looking_changes_nothing(method: str) -> None:
    model = net(method).train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    random = torch.get_rng_state()
    activation_statistics(model, torch.randn(4, 2, 4, 4, generator=torch.Generator().manual_seed(1)))
    latent_statistics(model)
    packed_codes(model)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_draw_in_evaluation_leaves_the_generator_alone() -> None:
    spec = METHODS["bc_stochastic"].weight.model_copy(update={"evaluate": "binary"})
    row = BNN.model_copy(update={"weight": spec})
    model = nn.Sequential(BinaryLinear(4, 4, method=row, role="body"))
    random = torch.get_rng_state()
    model.eval()(torch.zeros(1, 4))
    assert not torch.equal(torch.get_rng_state(), random)  # it does draw
    random = torch.get_rng_state()
    activation_statistics(model, torch.zeros(1, 4))
    assert torch.equal(torch.get_rng_state(), random)


def test_hooks_go_when_the_forward_pass_fails() -> None:
    model = net().train()
    with pytest.raises(RuntimeError):
        activation_statistics(model, torch.randn(1, 9, 4, 4))
    assert not any(module._forward_hooks for module in model.modules())
    assert model.training


def test_statistics_come_from_the_test_pass() -> None:
    """Batch norm with its running statistics: +100 makes every input of the dense layer positive."""
    model = net().train()
    norm: Any = model[1]
    norm.running_mean -= 100.0
    images: Tensor = torch.randn(4, 2, 4, 4)
    assert activation_statistics(model, images)["3"]["positive"] == 1.0
