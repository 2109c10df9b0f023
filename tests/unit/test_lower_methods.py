"""Quantizers with learned numbers and several bases, lowered in layers that no shipped network has: torch and
the packed program agree, on the reference and on the compiled kernels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from bnn_train.binary.layers import BinaryConv2d, binary_layers
from bnn_train.errors import ExportError
from bnn_train.models.resnet import PadShortcut, Residual
from bnn_train.packed.program import BitWeight, Conv, Map, Planes
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from lowering import Pair, pair, scramble
from method_rows import (
    ABC,
    CHANNELS,
    PACT,
    ROWS,
    SHAPE,
    Two,
    bits_read,
    conv,
    dense,
    gated,
    learned,
    lowered,
    network,
    norm,
    numbers_of,
)
from native_kernels import kernels  # noqa: F401  # a fixture

Kernels = tuple[str, ...]
SOME = ("shift", "pact 2", "abcnet", "bases by channel", "irnet", "signs × bases, K", "bases × ternary")
"""One of each kind of product."""


@pytest.fixture(scope="module")
def isas(kernels: Kernels) -> Kernels:  # noqa: F811
    """The instruction sets of this machine."""
    return kernels


def crossed(names: Any) -> list[Any]:
    """Each name with each of ``SOME``; slow but for a diagonal that has every one of both."""
    found = []
    for (i, name), (j, method) in product(enumerate(names), enumerate(SOME)):
        quick = i % len(SOME) == j or j % len(list(names)) == i
        found.append(pytest.param(name, method, marks=[] if quick else [pytest.mark.slow]))
    return found


@pytest.mark.parametrize("name", ROWS)
def test_two_convolutions_in_a_chain(name: str, isas: Kernels) -> None:
    method = ROWS[name]
    model = network(conv(method, padding=1, bias=False), norm(), conv(method, 1, bias=True))
    made = gated(lowered(model), isas)
    assert len(bits_read(made)) == (0 if name == "reals × bases" else 2)


@pytest.mark.parametrize(
    ("m", "n"),
    [pytest.param(*mn, marks=[] if 5 in (sum(mn), 4 + mn[1]) else [pytest.mark.slow]) for mn in ABC],
)
def test_every_pair_of_bases(m: int, n: int, isas: Kernels) -> None:
    model = network(conv(ABC[m, n], padding=1, bias=False), norm(), conv(ABC[m, n], bias=False))
    made = gated(lowered(model), isas)
    for step in bits_read(made):
        assert made.lowered.program.values[step.input].code == Planes(count=n)
        assert isinstance(step.weight, BitWeight)
        assert step.weight.code == Planes(count=m)


GEOMETRIES: dict[str, dict[str, Any]] = {
    "strided": {"padding": 1, "stride": 2},
    "uneven": {"padding": (2, 0), "stride": (1, 2), "kernel": (5, 2)},
    "dilated": {"padding": 2, "dilation": 2},
    "grouped": {"padding": 1, "groups": 2},
    "depthwise": {"padding": 1, "groups": CHANNELS},
    "wide padding": {"padding": 4},
}


@pytest.mark.parametrize(("geometry", "name"), crossed(GEOMETRIES))
def test_geometries(geometry: str, name: str, isas: Kernels) -> None:
    options = dict(GEOMETRIES[geometry])
    kernel = options.pop("kernel", 3)
    body = (conv(ROWS[name], kernel, bias=False, **options), norm(), conv(ROWS[name], 1))
    gated(lowered(network(*body)), isas)


@pytest.mark.parametrize("value", [-1, 0, 1])
@pytest.mark.parametrize("name", ["shift", "irnet", "abcnet", "signs × bases"])
def test_padding_values(name: str, value: int, isas: Kernels) -> None:
    method = ROWS[name].model_copy(update={"padding": value})
    model = network(conv(method, padding=1, bias=False), norm(), conv(method, padding=1))
    made = gated(lowered(model), isas)
    assert {step.pad for step in bits_read(made)} == {value}


BEFORE: dict[str, Callable[[], list[nn.Module]]] = {
    "pool, norm": lambda: [nn.MaxPool2d(2), norm()],
    "norm, pool": lambda: [norm(), nn.MaxPool2d(2)],
    "norm, pool, norm": lambda: [norm(), nn.MaxPool2d(3, 2, padding=1), norm()],
    "norm, relu, pool, norm": lambda: [norm(), nn.ReLU(), nn.MaxPool2d(2), norm()],
    "two pools": lambda: [nn.MaxPool2d(2), norm(), nn.MaxPool2d(3, 1, padding=1), norm()],
    "average": lambda: [nn.AvgPool2d(3, 2, padding=1), norm()],
    "average up": lambda: [norm(), nn.AvgPool2d(2, ceil_mode=True)],
    "relu": lambda: [norm(), nn.ReLU()],
    "hardtanh": lambda: [norm(), nn.Hardtanh()],
}


@pytest.mark.parametrize(("before", "name"), crossed(BEFORE))
def test_what_stands_before_a_quantizer(before: str, name: str, isas: Kernels) -> None:
    method = ROWS[name]
    body = (conv(method, padding=1, bias=False), *BEFORE[before](), conv(method, 1, bias=False))
    gated(lowered(network(*body)), isas, constant=before == "relu")


ACTS: dict[str, nn.Module] = {"none": nn.Identity(), "relu": nn.ReLU(), "hardtanh": nn.Hardtanh()}


@pytest.mark.parametrize(("act", "name"), crossed(ACTS))
def test_residual_blocks(act: str, name: str, isas: Kernels) -> None:
    method = ROWS[name]
    body = nn.Sequential(conv(method, outputs=12, padding=1, stride=2), norm(12))
    block = Residual(body, PadShortcut(CHANNELS, 12, 2), ACTS[act])
    again = Residual(nn.Sequential(conv(method, 1, 12, 12), norm(12)), nn.Identity(), ACTS[act])
    gated(lowered(network(block, again, channels=12)), isas)


@pytest.mark.parametrize("name", [name for name in ROWS if "shift" not in name])
def test_dense_layers_behind_a_map(name: str, isas: Kernels) -> None:
    """9×8 → 4×4 → 3×3 → 16 → 5, dropouts inside and between."""
    method = ROWS[name]
    model = nn.Sequential(
        nn.Conv2d(3, CHANNELS, 3, padding=1),
        nn.MaxPool2d(2),
        norm(),
        conv(method, 2),
        norm(),
        nn.Flatten(),
        nn.Dropout(0.5),
        dense(method, CHANNELS * 9, dropout=0.3),
        nn.BatchNorm1d(16),
        nn.Hardtanh(),
        dense(method, 16, 5),
    )
    gated(lowered(model), isas)


SHIFTED = [name for name in ROWS if "shift" in name]


def shifted_dense(method: Method, *before: nn.Module, inputs: int) -> nn.Module:
    first, layers = nn.Conv2d(3, CHANNELS, 3, padding=1), (dense(method, inputs), nn.BatchNorm1d(16))
    return nn.Sequential(first, norm(), *before, nn.Flatten(), *layers, dense(method, 16, 5))


@pytest.mark.parametrize("name", SHIFTED)
def test_shifts_of_a_dense_layer(name: str, isas: Kernels) -> None:
    """Behind a map of one pixel and behind a vector there is one for each channel; a larger map is
    refused."""
    gated(lowered(shifted_dense(ROWS[name], nn.AdaptiveAvgPool2d(1), inputs=CHANNELS)), isas)
    with pytest.raises(ExportError, match=r"^3: activation\.pre has a number for each feature of a flatt"):
        lowered(shifted_dense(ROWS[name], inputs=CHANNELS * 72))


def test_weights_of_bases_on_pixels_are_refused() -> None:
    binary = ABC[2, 2].model_copy(update={"scope": METHODS["bnn"].scope})
    first = BinaryConv2d(3, CHANNELS, 3, method=binary, role="first")
    rest = (norm(), conv(binary), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ExportError, match=r"^0: multiplies pixels with weights of several bases"):
        lowered(nn.Sequential(first, *rest))


@torch.no_grad()
def side_by_side(name: str, *, equal: bool) -> Pair:
    """Two layers on the same value, whose numbers are the same, or differ in the last alone."""
    model = Two(conv(ROWS[name], padding=1), conv(ROWS[name], 1))
    learned(model)
    others = numbers_of(model.other)
    for key, parameter in numbers_of(model.one).items():
        others[key].copy_(parameter)
    if not equal:
        list(others.values())[-1].view(-1)[-1] += 0.125
    return pair(scramble(model, SHAPE), SHAPE)


@pytest.mark.parametrize("name", ["shift", "pact 1", "pact 2", "abcnet", "shifted bases", "clipped bases"])
@pytest.mark.parametrize("equal", [True, False])
def test_bits_are_shared_by_equal_quantizers_alone(name: str, equal: bool, isas: Kernels) -> None:
    made = gated(side_by_side(name, equal=equal), isas)
    read = bits_read(made)
    assert (len(read), len({step.input for step in read})) == (2, 1 if equal else 2)
    steps = [s for s in made.lowered.program.steps if isinstance(s, Conv | Map) and s.bits is not None]
    assert len(steps) == (1 if equal else 2)


def with_numbers(method: Method, key: str, numbers: Any) -> Pair:
    """Two layers whose input quantizers have learned these numbers."""
    model = network(conv(method, padding=1, bias=False), norm(), conv(method, bias=False))
    with torch.no_grad():
        for _, layer in binary_layers(model):
            numbers_of(layer)[key].copy_(torch.as_tensor(numbers))
    return pair(scramble(model, SHAPE), SHAPE)


@pytest.mark.parametrize(
    "factors", [(0.0, 0.0, 0.0), (1.0, -1.0, 0.0), (-0.5, -0.25, -2.0), (1e-30, 1e9, -1e9)]
)
def test_factors_of_any_size_and_sign(factors: tuple[float, ...], isas: Kernels) -> None:
    gated(with_numbers(METHODS["abcnet"], "quantizer.weights", factors), isas)


@pytest.mark.parametrize("name", ["abcnet", "bases by channel"])
def test_equal_bases(name: str, isas: Kernels) -> None:
    """Equal weights have equal bases; equal shifts give equal planes."""
    model = network(conv(ROWS[name], padding=1, bias=False), norm(), conv(ROWS[name], bias=False))
    with torch.no_grad():
        for _, layer in binary_layers(model):
            layer.weight.fill_(0.25)
            numbers_of(layer)["quantizer.shifts"].fill_(0.1)
    gated(pair(scramble(model, SHAPE), SHAPE), isas)


@pytest.mark.parametrize("alpha", [-1.0, -0.0, 0.0, 1e-45, 1e-30, 1e30])
@pytest.mark.parametrize("bits", [1, 2])
def test_a_clip_at_its_ends(alpha: float, bits: int, isas: Kernels) -> None:
    """A clip that decay drew to 0, or training below it, gives one number for all inputs, and no NaN."""
    gated(with_numbers(PACT[bits], "pre.alpha", alpha), isas, constant=alpha < 1)
