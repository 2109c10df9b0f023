"""Layers that no shipped network has, each behind a first convolution, against torch through the gate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.models.resnet import PadShortcut, Residual
from bnn_train.packed.program import Conv
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from bnn_train.spec.quantizers import Uniform
from lowering import pair, scramble
from native_kernels import kernels  # noqa: F401  # a fixture

SHAPE = (3, 9, 8)
CHANNELS = 8


def padded(method: str, value: int) -> Method:
    return METHODS[method].model_copy(update={"padding": value})


def model(*body: nn.Module, channels: int = CHANNELS) -> nn.Module:
    """first → norm → body → norm → average → dense."""
    return nn.Sequential(
        nn.Conv2d(3, CHANNELS, 3, padding=1),
        nn.BatchNorm2d(CHANNELS),
        *body,
        nn.BatchNorm2d(channels),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, 5),
    )


def conv(
    method: Method, kernel: int = 3, outputs: int = CHANNELS, inputs: int = CHANNELS, **options: Any
) -> nn.Module:
    layer = BinaryConv2d(inputs, outputs, kernel, method=method, role="body", **options)
    layer.initialise()
    return layer


GEOMETRIES: dict[str, dict[str, Any]] = {
    "plain": {"padding": 1},
    "strided": {"padding": 1, "stride": 2},
    "uneven": {"padding": (2, 0), "stride": (1, 2), "kernel": (5, 2)},
    "dilated": {"padding": 2, "dilation": 2},
    "grouped": {"padding": 1, "groups": 2},
    "depthwise": {"padding": 1, "groups": CHANNELS},
    "wide padding": {"padding": 4},
    "with a bias": {"padding": 1, "bias": True},
}
METHODS_HERE = ("bnn", "xnor", "xnor_k", "dorefa", "bwn", "twn", "bop", "bc_stochastic", "fp")


@pytest.mark.parametrize("method", METHODS_HERE)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_geometries(name: str, method: str) -> None:
    row, options = METHODS[method], {"bias": False, **GEOMETRIES[name]}
    kernel = options.pop("kernel", 3)
    second = conv(row, kernel, **options)
    third = conv(row, 1, bias=False)
    made = pair(scramble(model(second, nn.BatchNorm2d(CHANNELS), third), SHAPE), SHAPE)
    parity = made.gate()
    assert parity.images == 8


@pytest.mark.parametrize(
    ("method", "value"),
    [*((method, value) for method in ("bnn", "xnor") for value in (-1, 0, 1)), ("xnor_k", 0), ("dorefa", 0)],
)
def test_padding_values(method: str, value: int) -> None:
    row = padded(method, value)
    made = pair(scramble(model(conv(row, padding=1), conv(row, padding=1)), SHAPE), SHAPE)
    bits = [
        s
        for s in made.lowered.program.steps
        if isinstance(s, Conv) and made.lowered.program.values[s.input].type == "bits"
    ]
    assert {step.pad for step in bits} == {value}
    made.gate()


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_unsigned_codes(bits: int) -> None:
    row = METHODS["dorefa"]
    activation = row.activation.model_copy(update={"quantizer": Uniform(bits=bits)})
    row = row.model_copy(update={"activation": activation})
    made = pair(scramble(model(conv(row, padding=1), nn.BatchNorm2d(CHANNELS), conv(row)), SHAPE), SHAPE)
    made.gate()


@pytest.mark.parametrize("kind", ["sign", "ternary"])
def test_ternary_weights_with_signs(kind: str) -> None:
    row = METHODS["xnor"].model_copy(
        update={"weight": METHODS["twn"].weight if kind == "ternary" else METHODS["bnn"].weight}
    )
    made = pair(scramble(model(conv(row, padding=1), nn.BatchNorm2d(CHANNELS), conv(row)), SHAPE), SHAPE)
    made.gate()


POOLS: dict[str, list[nn.Module]] = {
    "pool, norm": [nn.MaxPool2d(2), nn.BatchNorm2d(CHANNELS)],
    "norm, pool": [nn.BatchNorm2d(CHANNELS), nn.MaxPool2d(2)],
    "norm, pool, norm": [nn.BatchNorm2d(CHANNELS), nn.MaxPool2d(3, 2, padding=1), nn.BatchNorm2d(CHANNELS)],
    "norm, relu, pool, norm": [
        nn.BatchNorm2d(CHANNELS),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(CHANNELS),
    ],
    "two pools": [
        nn.MaxPool2d(2),
        nn.BatchNorm2d(CHANNELS),
        nn.MaxPool2d(3, 1, padding=1),
        nn.BatchNorm2d(CHANNELS),
    ],
    "ceil": [nn.MaxPool2d(2, ceil_mode=True), nn.BatchNorm2d(CHANNELS)],
    "dilated": [nn.MaxPool2d(2, 1, dilation=2), nn.BatchNorm2d(CHANNELS)],
    "pick": [nn.BatchNorm2d(CHANNELS), nn.MaxPool2d(1, 2)],
    "average": [nn.AvgPool2d(3, 2, padding=1), nn.BatchNorm2d(CHANNELS)],
    "average inside": [nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), nn.BatchNorm2d(CHANNELS)],
    "average up": [nn.BatchNorm2d(CHANNELS), nn.AvgPool2d(2, ceil_mode=True)],
}


@pytest.mark.parametrize("method", ["bnn", "xnor_k", "dorefa", "bwn"])
@pytest.mark.parametrize("name", POOLS)
def test_poolings_before_a_quantizer(name: str, method: str) -> None:
    row = METHODS[method]
    body = [conv(row, padding=1, bias=False), *POOLS[name], conv(row, 1, bias=False)]
    made = pair(scramble(model(*body), SHAPE), SHAPE)
    made.gate()


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(2, ceil_mode=True)])
def test_a_window_larger_than_the_map(
    pool: nn.Module,
    kernels: tuple[str, ...],  # noqa: F811
) -> None:
    """A map of one pixel halves upwards to itself, in every engine."""
    row = METHODS["bnn"]
    body = [conv(row, padding=1, bias=False), nn.MaxPool2d((9, 8)), nn.BatchNorm2d(CHANNELS), pool]
    for kernel in ("reference", *kernels):
        pair(scramble(model(*body, conv(row, 1, bias=False)), SHAPE), SHAPE, kernel=kernel).gate()


@pytest.mark.parametrize("method", ["bnn", "xnor", "xnor_k", "bwn", "dorefa"])
def test_dense_layers_on_a_map(method: str) -> None:
    """9×8 → 4×4 → 3×3 → 16 → 5."""
    row = METHODS[method]
    network = nn.Sequential(
        nn.Conv2d(3, CHANNELS, 3, padding=1),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(CHANNELS),
        conv(row, 2),
        nn.BatchNorm2d(CHANNELS),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Identity(),
        BinaryLinear(CHANNELS * 9, 16, method=row, role="body", dropout=0.3),
        nn.BatchNorm1d(16),
        nn.Hardtanh(),
        BinaryLinear(16, 5, method=row, role="body"),
    )
    made = pair(scramble(network, SHAPE), SHAPE)
    made.gate()


@pytest.mark.parametrize("act", [nn.Identity(), nn.ReLU(), nn.Hardtanh()], ids=["none", "relu", "hardtanh"])
@pytest.mark.parametrize("method", ["bnn", "xnor", "bwn"])
def test_type_a_shortcuts(method: str, act: nn.Module) -> None:
    row = METHODS[method]
    body = nn.Sequential(conv(row, outputs=12, padding=1, stride=2), nn.BatchNorm2d(12))
    block = Residual(body, PadShortcut(CHANNELS, 12, 2), act)
    again = Residual(nn.Sequential(conv(row, 1, 12, 12), nn.BatchNorm2d(12)), nn.Identity(), act)
    made = pair(scramble(model(block, again, channels=12), SHAPE), SHAPE)
    made.gate()


def test_one_module_called_twice() -> None:
    layer, norm = conv(METHODS["bnn"], padding=1), nn.BatchNorm2d(CHANNELS)
    made = pair(scramble(model(layer, norm, layer, norm), SHAPE), SHAPE)
    names = [step.layer for step in made.lowered.program.steps]
    assert len(set(names)) == len(names)
    made.gate()


def test_the_sum_of_a_value_with_itself() -> None:
    class Double(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2d(3, CHANNELS, 3), conv(METHODS["bnn"])
            self.pool = nn.AdaptiveAvgPool2d(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            y: torch.Tensor = self.pool(self.last(x + x))
            return y.flatten(1)

    pair(scramble(Double(), SHAPE), SHAPE).gate()
