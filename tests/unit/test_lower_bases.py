"""Residual signs and levels as the export stores them: digits of a level's number, with real factors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.layers import binary_layers
from bnn_train.errors import ExportError
from bnn_train.packed.program import Conv, Map, Planes
from bnn_train.spec.method import Method
from lowering import pair, scramble
from method_rows import CHANNELS, SHAPE, Two, bits_read, conv, dense, gated, network, norm, row
from native_kernels import kernels as isas  # noqa: F401  # a fixture

EMA = {"quantizer": {"stat": "ema"}}
WIDE = {"activation": {"quantizer": {"bases": 4}}}
CASES: dict[str, tuple[Method, int, int]] = {
    "ls1": (row("ls1"), 0, 1),
    "ls2": (row("ls2"), 0, 2),
    "lst": (row("lst"), 0, 2),
    "gf2": (row("gf2"), 0, 2),
    "gf4": (row("gf2", **WIDE), 0, 4),
    "horq, averaged": (row("horq", activation=EMA), 0, 2),
    "rebnet": (row("rebnet"), 0, 2),
    "rebnet 1": (row("rebnet", activation={"quantizer": {"bases": 1}}), 0, 1),
    "rebnet 4": (row("rebnet", **WIDE), 0, 4),
    "lqnets": (row("lqnets"), 2, 3),
    "lqnets 1/1": (
        row("lqnets", weight={"quantizer": {"bases": 1}}, activation={"quantizer": {"bases": 1}}),
        1,
        2,
    ),
    "lqnets 3/3": (
        row("lqnets", weight={"quantizer": {"bases": 3}}, activation={"quantizer": {"bases": 3}}),
        3,
        4,
    ),
    "greedy × shifted": (row("abcnet", activation={"quantizer": "greedy", "estimator": "clip"}), 3, 2),
}


def trained(*layers: nn.Module) -> nn.Module:
    """A network whose norms and averages know random images."""
    return scramble(network(*layers), SHAPE)


@pytest.mark.parametrize("name", CASES)
def test_packed_is_equal(name: str, isas: tuple[str, ...]) -> None:  # noqa: F811
    """γ of both signs and 0, strides, groups, padding, a pooling and a dense layer between."""
    method, weights, inputs = CASES[name]
    model = nn.Sequential(
        nn.Conv2d(3, CHANNELS, 3, padding=1),
        norm(),
        conv(method, padding=1, bias=False),
        norm(),
        nn.MaxPool2d(2),
        conv(method, padding=1, stride=2, groups=2),
        norm(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.BatchNorm1d(CHANNELS),
        dense(method),
        nn.BatchNorm1d(16),
        nn.Linear(16, 5),
    )
    scramble(model, SHAPE)
    with torch.no_grad():
        for _, layer in binary_layers(model):
            for key, number in layer.named_parameters():
                if key.endswith("gamma"):
                    number.mul_(torch.tensor([-1.0, 1, -1, 1])[: len(number)])
    made = gated(pair(model, SHAPE), isas)
    for step in bits_read(made):
        code = made.lowered.program.values[step.input].code
        assert code == Planes(count=inputs, digits=inputs > 1)
        if weights:
            assert step.weight.code == Planes(count=weights)  # type: ignore[union-attr]  # bits
    thresholds = 2**inputs - 1
    for stored in made.lowered.program.steps:
        if isinstance(stored, Conv | Map) and stored.thresholds:
            assert len(made.lowered.tensors[stored.thresholds.tensor]) == thresholds


@pytest.mark.parametrize("padding", [-1, 1])
def test_borders_of_residual_signs(padding: int, isas: tuple[str, ...]) -> None:  # noqa: F811
    method = row("rebnet").model_copy(update={"padding": padding})
    gated(pair(trained(conv(method, padding=1, bias=False), norm(), conv(method, padding=1)), SHAPE), isas)


@pytest.mark.parametrize("name", ["ls2", "lqnets"])
def test_layers_that_saw_the_same_share_bits(name: str, isas: tuple[str, ...]) -> None:  # noqa: F811
    method = row(name)
    model = Two(conv(method, bias=False), conv(method, bias=False))
    made = gated(pair(scramble(model, SHAPE), SHAPE), isas)
    read = bits_read(made)
    assert (len(read), len({step.input for step in read})) == (2, 1)


@pytest.mark.parametrize(
    ("name", "stat", "sentence"),
    [
        ("horq", "column", "the factors of greedy are measured on each image; train with stat: ema"),
        ("gf2", "batch", "the factors of greedy are measured on each image; train with stat: ema"),
        ("ls2", "batch", "the factors of least_squares are measured on each image; train with stat: ema"),
    ],
)
def test_factors_of_each_image_are_refused(name: str, stat: str, sentence: str) -> None:
    model = trained(conv(row(name, activation={"quantizer": {"stat": stat}}), bias=False))
    with pytest.raises(ExportError, match=f"^2: {sentence}$"):
        pair(model, SHAPE)


def test_levels_in_another_order_than_their_numbers_are_refused() -> None:
    """0.5 + 0.6 > 0.7: the third digit does not decide first."""
    method: Any = row("lqnets", activation={"quantizer": {"bases": 3}})
    model = trained(conv(method, bias=False))
    with torch.no_grad():
        for _, layer in binary_layers(model):
            assert layer.input_quantizer is not None
            basis = layer.input_quantizer.quantizer.state_dict()["basis"]
            basis.copy_(torch.tensor([[0.5], [0.6], [0.7]]))
            assert np.isfinite(layer.input_quantizer(torch.randn(2, 8, 3, 3)).numpy()).all()
    with pytest.raises(ExportError, match=r"the sums of its basis 0\.5, 0\.6, 0\.7 interleave"):
        pair(model, SHAPE)
