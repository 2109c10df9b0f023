"""Weights and activations with an offset, and codes of several levels around 0: torch and the packed program
agree."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from bnn_train.binary.layers import BinaryConv2d
from bnn_train.binary.nonlinear import STREAMS
from bnn_train.errors import ExportError
from bnn_train.packed.program import BitWeight, Planes
from bnn_train.spec.method import Method
from lowering import pair, scramble
from method_rows import CHANNELS, SHAPE, Two, bits_read, conv, dense, gated, lowered, network, norm, row
from native_kernels import kernels  # noqa: F401  # a fixture

Kernels = tuple[str, ...]
SIGNS = {"quantizer": "sign", "estimator": "clip"}
ODD = {"pre": "tanh_max", "quantizer": {"name": "signed_uniform", "bits": 2}, "scale": "none"}


def bits(count: int, name: str = "dsq") -> Method:
    return row(name, **{side: {"quantizer": {"bits": count}} for side in ("weight", "activation")})


ROWS: dict[str, Method] = {
    "ttq × reals": row("ttq"),
    "ttq × signs": row("ttq", activation=SIGNS),
    "ttq × two bits": row(
        "ttq", activation={"quantizer": {"name": "uniform", "bits": 2}, "estimator": "unit"}
    ),
    "ttq × a pair": row("ttq", activation={"quantizer": "learned_pair"}),
    "signs × a pair": row("adabin", weight={"quantizer": "sign", "scale": "l1"}),
    "adabin": row("adabin"),
    "adabin of the paper": row("adabin", activation={"quantizer": {"center": "paper"}}),
    "adabin by layer": row("adabin", weight={"granularity": "layer"}),
    "dsq": row("dsq"),
    "dsq 2": bits(2),
    "hwgq": row("hwgq"),
    "hwgq 3": row("hwgq", activation={"quantizer": {"bits": 3}}),
    "hwgq × ttq": row("ttq", activation={"quantizer": "half_wave", "estimator": "relu_clip"}),
    "dorefa 2": row("dorefa", weight=ODD),
    "dorefa 2, scaled": row("dorefa", weight={**ODD, "scale": "l1"}),
    "wrpn": row("wrpn"),
    "wrpn 1": bits(1, "wrpn"),
    "wrpn 4": bits(4, "wrpn"),
    "wrpn × a pair": row("wrpn", activation={"quantizer": "learned_pair", "estimator": "clip"}),
}
SOME = ("ttq × signs", "adabin", "dsq", "wrpn", "dorefa 2")


@pytest.fixture(scope="module")
def isas(kernels: Kernels) -> Kernels:  # noqa: F811
    """The instruction sets of this machine."""
    return kernels


def moved(layer: Any) -> Any:
    """The numbers that the weight's quantizer learns, apart from each other."""
    learned = [p for name, p in layer.weight_quantizer.named_parameters() if "quantizer" in name]
    with torch.no_grad():
        for number, parameter in enumerate(learned):
            parameter.add_(0.1 + 0.13 * number)
    return layer


@pytest.mark.parametrize("name", ROWS)
def test_two_convolutions_in_a_chain(name: str, isas: Kernels) -> None:
    method = ROWS[name]
    body = (moved(conv(method, padding=1, bias=False)), norm(), moved(conv(method, 1, bias=True)))
    made = gated(lowered(network(*body)), isas)
    assert len(bits_read(made)) == (0 if "reals" in name else 2)


GEOMETRIES: dict[str, dict[str, Any]] = {
    "strided": {"padding": 1, "stride": 2},
    "grouped": {"padding": 1, "groups": 2},
    "wide padding": {"padding": 4},
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", SOME)
def test_geometries(name: str, geometry: str, isas: Kernels) -> None:
    """The offset of a weight counts the taps in the image and no others."""
    first = moved(conv(ROWS[name], bias=False, **GEOMETRIES[geometry]))
    gated(lowered(network(first, norm(), conv(ROWS[name], 1))), isas)


@pytest.mark.parametrize("name", SOME)
def test_pooled_and_dense(name: str, isas: Kernels) -> None:
    method = ROWS[name]
    body = [conv(method, padding=1), nn.MaxPool2d(3), norm(), nn.Flatten(), dense(method, CHANNELS * 6)]
    model = nn.Sequential(nn.Conv2d(3, CHANNELS, 3, padding=1), norm(), *body, nn.BatchNorm1d(16))
    gated(lowered(model), isas)


def test_a_file_holds_the_offset_as_a_plane(isas: Kernels) -> None:
    made = gated(lowered(network(conv(ROWS["adabin"], padding=1), norm(), conv(ROWS["adabin"], 1))), isas)
    for step in bits_read(made):
        assert made.lowered.program.values[step.input].code == Planes(count=2)
        assert isinstance(step.weight, BitWeight)
        assert step.weight.code == Planes(count=2)
        assert not made.lowered.tensors[step.weight.tensor][1].any()  # +1 is the bit 0


def test_equal_pairs_share_their_bits(isas: Kernels) -> None:
    made = gated(lowered(Two(conv(ROWS["hwgq"]), conv(ROWS["hwgq"]))), isas)
    assert len({step.input for step in bits_read(made)}) == 1


def test_a_first_layer_of_planes_is_refused() -> None:
    everywhere = row("ttq", scope={"real": []})
    first = BinaryConv2d(3, CHANNELS, 3, method=everywhere, role="first")
    model = nn.Sequential(first, norm(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 5))
    with pytest.raises(ExportError, match="pixels with weights of several bases"):
        pair(scramble(model, SHAPE), SHAPE)


def test_a_maxout_behind_an_addition_packs(isas: Kernels) -> None:
    """As AdaBin's residual networks have it."""
    model = network(conv(ROWS["adabin"], padding=1), norm(), STREAMS["maxout"](CHANNELS))
    gated(lowered(model), isas)
