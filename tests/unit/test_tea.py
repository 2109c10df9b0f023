"""Sampled connections and spikes with a probability (Esser 2015), against numpy and exact distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.deviation import DividedByDeviation
from bnn_train.binary.factory import Layers
from bnn_train.binary.latent import enforce, number
from bnn_train.binary.layers import BinaryLinear
from bnn_train.binary.quantizers import quantizer
from bnn_train.binary.strengths import strengths
from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping
from bnn_train.config.merge import merge
from bnn_train.spec.methods import METHODS
from bnn_train.spec.quantizers import Sampled, Spike

TEA = METHODS["tea"]
RNG = np.random.default_rng(4)


def phi(x: Any) -> Any:
    """The normal distribution function."""
    return np.vectorize(lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2))))(x)


def layer(weight: np.ndarray) -> BinaryLinear:
    """A dense layer with these expectations s·c."""
    made = BinaryLinear(weight.shape[1], len(weight), method="tea", role="body")
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(weight))
    return made


def expectations(outputs: int, inputs: int) -> np.ndarray:
    """s·c of the strengths, in float32."""
    signs = strengths(torch.empty(outputs, inputs)).numpy()
    return (signs * RNG.random((outputs, inputs))).astype(np.float32)


def test_two_of_four_types_of_inputs_inhibit_a_neuron() -> None:
    signs = strengths(torch.empty(12, 2, 2, 2)).flatten(1)
    np.testing.assert_array_equal(signs[0].numpy(), [1, 1, -1, -1] * 2)
    np.testing.assert_array_equal(signs[7].numpy(), [1, -1, 1, -1] * 2)
    assert len({tuple(row.tolist()) for row in signs}) == 6
    assert bool((signs.sum(dim=1) == 0).all())


def test_training_takes_the_expectation_and_evaluation_a_sample() -> None:
    weight = expectations(6, 40)
    weight[0, :3] = 0, -0.0, 1  # never, never, always: 1 is the strength of input 0 … 1 of neuron 0
    weight[0, 2] = -1
    made = layer(weight)
    assert made.weight_quantizer is not None
    seen = made.weight_quantizer(made.weight)
    np.testing.assert_array_equal(seen.detach().numpy(), weight)
    seen.sum().backward()
    np.testing.assert_array_equal(made.weight.grad.numpy(), np.ones_like(weight))  # type: ignore[union-attr]  # it has one
    drawn = torch.rand(weight.shape, generator=torch.Generator().manual_seed(0)).numpy()
    expected = np.sign(weight) * (drawn < np.abs(weight))
    np.testing.assert_array_equal(made.eval().read_weight().detach().numpy(), expected)
    np.testing.assert_array_equal(made.codes().value.numpy(), expected)
    assert expected[0, :3].tolist() == [0, 0, -1]


def test_other_layers_and_other_seeds_have_other_samples() -> None:
    def sample(index: int, seed: int) -> torch.Tensor:
        made = quantizer(Sampled(seed=seed))
        made.attach(torch.full((50, 80), 0.25), (1,))
        made.stand(index)
        return made.eval().codes(torch.full((50, 80), 0.25), (1,), drawn=True).abs()

    assert torch.equal(sample(1, 2), sample(1, 2))
    assert not torch.equal(sample(1, 2), sample(0, 2))
    assert not torch.equal(sample(1, 2), sample(1, 3))
    assert float(torch.stack([sample(0, seed) for seed in range(50)]).mean()) == pytest.approx(
        0.25, abs=0.005
    )


def test_a_network_numbers_its_layers_and_keeps_probabilities_in_range() -> None:
    network: Any = nn.Sequential(*(BinaryLinear(8, 8, method="tea", role="body") for _ in range(2)))
    number(network)
    first, second = (one.weight_quantizer.quantizer.drawn for one in network)
    assert not torch.equal(first, second)
    with torch.no_grad():
        network[0].weight.copy_(torch.linspace(-2, 2, 64).view(8, 8))
    enforce(network)
    chances = (strengths(network[0].weight) * network[0].weight).detach()
    assert float(chances.min()) == 0
    assert float(chances.max()) == 1
    assert not [name for name in network.state_dict() if "drawn" in name or "strength" in name]


def test_rounded_connections_are_what_is_likely() -> None:
    made = quantizer(Sampled(form="rounded"))
    x = torch.tensor([[0.5, 0.51, -0.5, -0.51, 0.0, -0.0, 1.0, math.nan]])
    made.attach(x, (1,))
    for training in (True, False):
        codes = made.train(training).codes(x, (1,), drawn=True)
        assert codes.tolist() == [[0, 1, 0, -1, 0, 0, -1, 0]]  # 1.0 stands where the strength is −1


@pytest.mark.parametrize("curve", ["normal", "logistic"])
def test_a_spike_is_its_probability_while_training(curve: Any) -> None:
    made = quantizer(Spike(curve=curve))
    values = np.array([-3.0, -0.5, -0.0, 0.0, 0.5, 3.0])
    x = torch.tensor(values, requires_grad=True)
    identity: Any = None
    found = made.value(x, identity, drawn=True, span=1.0)
    found.sum().backward()
    sigmoid = 1 / (1 + np.exp(-values))
    density = np.exp(-(values**2) / 2) / math.sqrt(2 * math.pi)
    expected, slope = (phi(values), density) if curve == "normal" else (sigmoid, sigmoid * (1 - sigmoid))
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), slope, rtol=1e-12)
    still = torch.tensor([-1e-9, -0.0, 0.0, 2.0, math.nan])
    assert made.codes(still, (), drawn=False).tolist() == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("spikes", [True, False], ids=["spikes", "image"])
def test_sums_are_divided_by_their_deviation(spikes: bool) -> None:
    layers = Layers(TEA)
    made: Any = layers.linear("body" if spikes else "first", 30, 5)
    w, x = expectations(5, 30), RNG.normal(size=(3, 30)).astype(np.float32)
    with torch.no_grad():
        made.layer.weight.copy_(torch.from_numpy(w))
    seen = phi(x.astype(np.float64)) if spikes else x.astype(np.float64)
    second = seen if spikes else seen**2
    variance = second @ np.abs(w).T - (seen**2) @ (w**2).T
    assert made.layer.bias.tolist() == [0.5] * 5
    expected = (seen @ w.T + 0.5) / np.sqrt(np.maximum(variance, 0.01))
    np.testing.assert_allclose(made(torch.from_numpy(x)).detach().numpy(), expected, rtol=2e-5)
    fired = (x >= 0).astype(np.float32) if spikes else x
    sample = made.layer.codes().value.numpy()
    np.testing.assert_allclose(
        made.eval()(torch.from_numpy(x)).detach().numpy(), fired @ sample.T + 0.5, rtol=2e-5
    )


def test_convolutions_are_divided_alike_and_the_last_layer_is_not() -> None:
    layers = Layers(TEA)
    conv: Any = layers.conv("body", 3, 4, 3, padding=1, stride=2)
    x = torch.randn(2, 3, 6, 6)
    dense = nn.functional.unfold(torch.special.ndtr(x), 3, padding=1, stride=2).transpose(1, 2)
    w = conv.layer.weight.detach().flatten(1)
    variance = dense @ w.abs().T - dense.square() @ w.square().T
    expected = (dense @ w.T + 0.5) / variance.clamp(min=0.01).sqrt()
    torch.testing.assert_close(conv(x).detach().flatten(2).transpose(1, 2), expected, rtol=1e-4, atol=1e-5)
    assert not isinstance(layers.linear("last", 8, 3), DividedByDeviation)


def exact_chance(chances: np.ndarray, signs: np.ndarray) -> float:
    """P(Σ sᵢ·Xᵢ ≥ 0), Xᵢ of probability chances[i], by convolution."""
    masses = np.ones(1)
    for chance, sign in zip(chances, signs, strict=True):
        masses = np.convolve(masses, [1 - chance, chance] if sign > 0 else [chance, 1 - chance])
    least = -int((signs < 0).sum())
    return float(masses[-least:].sum())


def test_half_is_added_for_whole_numbers() -> None:
    """The zoo's case: 256 connections, μ = −1.33, σ² = 37.1: .4459 with ½, .4137 without."""
    assert float(phi((-1.33 + 0.5) / math.sqrt(37.1))) == pytest.approx(0.4459, abs=1e-4)
    assert float(phi(-1.33 / math.sqrt(37.1))) == pytest.approx(0.4137, abs=2e-4)
    made = DividedByDeviation(layer(w := expectations(6, 256)))
    x = torch.full((1, 256), 0.3)
    made.layer.input_quantizer.quantizer.curve = lambda x: x  # its input is a probability
    with torch.no_grad():
        sums, deviations = made(x)[0].numpy(), made.variance(x)[0].sqrt().numpy()
    truth = np.array([exact_chance(0.3 * np.abs(row), np.sign(row)) for row in w])
    found, without = phi(sums), phi(sums - 0.5 / deviations)
    np.testing.assert_allclose(found, truth, atol=0.003)
    assert (np.abs(found - truth) < np.abs(without - truth)).all()


def test_a_bias_counts_rounded() -> None:
    sums, bias = np.arange(-6, 7), np.linspace(-2.9, 2.9, 59)
    fires = sums[:, None] + (bias + 0.5) >= 0
    np.testing.assert_array_equal(fires, sums[:, None] + np.floor(bias + 0.5) >= 0)


BASE = {"method": "tea", "model": "mlp", "data": "mnist", "optimizer": "adam"}


@pytest.mark.parametrize(
    ("sections", "path", "words"),
    [
        ({"method": {"output_scale": "none"}}, "output_scale", "counts them in deviations"),
        ({"method": {"weight": {"quantizer": "sign"}}}, "output_scale", "draws none here"),
        (
            {"method": {"weight": {"quantizer": {"name": "sampled", "form": "rounded"}}}},
            "output_scale",
            "draws none",
        ),
        ({"method": {"activation": {"quantizer": "heaviside"}}}, "output_scale", "curve: normal"),
        ({"method": {"norm": {"kind": "batch"}}}, "norm.kind", "batch would stand between"),
        ({"method": {"block": {"order": "bn-act-conv-pool"}}}, "block.order", "has a ReLU between"),
        ({"model": "resnet20"}, "model.name", "has shortcuts between"),
    ],
)
def test_it_is_refused_at_its_key(sections: dict[str, Any], path: str, words: str) -> None:
    base = BASE | {"method": {"name": "tea"}}
    told = {
        ".".join(map(str, key)): sentence for key, sentence in problems(from_mapping(merge(base, sections)))
    }
    assert any(key.endswith(path) and words in sentence for key, sentence in told.items()), told


def test_the_form_of_ranc_is_a_config() -> None:
    rounded = {
        "name": "tea",
        "weight": {"quantizer": {"name": "sampled", "form": "rounded"}},
        "activation": {"quantizer": {"name": "spike", "curve": "logistic"}},
        "output_scale": "none",
    }
    assert problems(from_mapping(BASE | {"method": rounded})) == []
