"""Structure of the lowered programs: layers that become one step, and values that stay real."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.config.loader import load
from bnn_train.errors import ExportError
from bnn_train.models.build import build
from bnn_train.packed.program import Conv, Map, Pool
from bnn_train.spec.methods import METHODS
from lowering import Pair, pair, scramble
from shipped import ROOT, WIDTHS

SHAPE = (3, 32, 32)


def shipped(name: str, width: int | None = None) -> Pair:
    """A shipped network, narrow."""
    e = load(ROOT / "configs" / f"{name}.yaml")
    changes = {"width": width or WIDTHS[e.model.name]} if e.model.name in WIDTHS else {}
    model = build(e.model.model_copy(update=changes), e.method, SHAPE, 10)
    return pair(scramble(model, SHAPE), SHAPE)


def convolutions(made: Pair) -> list[Conv]:
    return [step for step in made.lowered.program.steps if isinstance(step, Conv)]


def kinds(made: Pair, step: Conv) -> tuple[str, str, str]:
    """Of input, weight and threshold."""
    threshold = made.packed.tensors[step.thresholds.tensor].dtype.name if step.thresholds else "none"
    return made.lowered.program.values[step.input].type, step.weight.kind, threshold


def test_a_bnn_stays_in_bits() -> None:
    made = shipped("cifar10/bnn_convnet")
    assert made.ops == ["conv", "conv", "pool", "conv", "conv", "pool", "conv", "conv", "pool", *["conv"] * 3]
    first, *middle, last = convolutions(made)
    assert kinds(made, first) == ("u8", "bits", "float32")
    assert {kinds(made, step) for step in middle} == {("bits", "bits", "int32")}
    assert kinds(made, last) == ("bits", "bits", "none")
    assert last.epilogue.norm is not None
    assert [value.type for value in made.lowered.program.values].count("f32") == 1


def test_pools_of_falling_channels_are_minima() -> None:
    made = shipped("cifar10/bnn_convnet")
    pools = [step for step in made.lowered.program.steps if isinstance(step, Pool)]
    for step, norm in zip(pools, (2, 4, 6), strict=True):
        gamma: Any = made.model.get_submodule(f"norm{norm}").weight
        assert step.flip is not None
        assert made.packed.tensors[step.flip].tolist() == (gamma < 0).int().tolist()


def test_a_residual_block_is_two_convolutions() -> None:
    made = shipped("cifar10/bireal_resnet20")
    body = [step for step in convolutions(made) if made.lowered.program.values[step.input].type == "bits"]
    assert len(body) == 18
    assert all(step.epilogue.residual is not None and step.epilogue.norm is not None for step in body)
    assert sum(step.bits is not None for step in body) == 17  # the last one is averaged
    assert not [step for step in made.lowered.program.steps if isinstance(step, Map)]


def test_a_stream_activation_is_fused() -> None:
    made = shipped("cifar10/bnn_resnet20")
    adds = [step for step in convolutions(made) if step.epilogue.residual is not None]
    assert len(adds) == 9
    assert {step.epilogue.stream for step in adds} == {"hardtanh"}


def test_input_scales_need_the_real_values() -> None:
    made = shipped("cifar10/xnor_k_resnet20")
    scaled = [step for step in convolutions(made) if step.epilogue.input_scale is not None]
    assert len(scaled) == 18
    assert made.ops.count("input_scale") == 18
    assert "int32" not in {kinds(made, step)[2] for step in scaled}


def test_two_readers_share_their_bits() -> None:
    made = shipped("cifar10/bnn_resnet18", width=16)
    readers = [step.input for step in convolutions(made)]
    shared = {value for value in readers if readers.count(value) == 2}
    assert len(shared) == 3  # the first convolution of stages 2 to 4 and the shortcut beside it
    assert {made.lowered.program.values[value].type for value in shared} == {"bits"}


def test_codes_of_two_bits_have_three_thresholds() -> None:
    made = shipped("imagenet/dorefa_alexnet")
    tensors = made.packed.tensors
    found = {name: t for name, t in tensors.items() if name.endswith(".thresholds")}
    assert len(found) == 6  # conv2 to conv5, fc6 and fc7 quantize their inputs
    assert {len(t) for t in found.values()} == {3}
    assert {t.dtype.name for t in found.values()} == {"int32", "float32"}


def test_codes_of_two_bits_are_pooled_as_reals() -> None:
    body = METHODS["dorefa"]
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.MaxPool2d(2),
        BinaryConv2d(8, 8, 3, method=body, role="body", padding=1),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(8),
        BinaryConv2d(8, 4, 1, method=body, role="body"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    made = pair(scramble(model, (3, 14, 14)), (3, 14, 14))
    assert made.ops == ["conv", "pool", "map", "conv", "pool", "map", "conv", "mean"]
    made.gate()


class Branches(nn.Module):
    """A stream with three readers: a sign, a normed sign, and itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.one = BinaryConv2d(6, 6, 3, padding=1, method=METHODS["bnn"], role="body")
        self.other = nn.BatchNorm2d(6)
        self.two = BinaryConv2d(6, 6, 3, padding=1, method=METHODS["bnn"], role="body")
        self.pool, self.last = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        y = self.one(x) + self.two(self.other(x)) + x
        logits: Tensor = self.last(torch.flatten(self.pool(y), 1))
        return logits


def test_a_value_with_three_readers() -> None:
    made = pair(scramble(Branches(), (3, 8, 8)), (3, 8, 8))
    assert made.ops == ["conv", "map", "conv", "conv", "map", "mean", "conv"]
    made.gate()


class Functional(nn.Module):
    """Pools by a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(torch.nn.functional.adaptive_avg_pool2d(self.first(x), 1), 1)


class Branching(nn.Module):
    """Looks at its input."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) if x.sum() > 0 else x


REAL_WEIGHTS = METHODS["bnn"].model_copy(update={"weight": METHODS["fp"].weight})
UNKNOWN: dict[str, tuple[nn.Module, str]] = {
    "a layer without a step": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh()),
        "1: the packed program has no step for Tanh",
    ),
    "a function without a step": (Functional(), "adaptive_avg_pool2d: the packed program has no step"),
    "a branch on values": (Branching(), "cannot be traced"),
    "averages to 2×2": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2)),
        "1: averages to 2",
    ),
    "quantized inputs, real weights": (
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(192, 4),
            BinaryLinear(
                4, 2, role="body", method=METHODS["bnn"].model_copy(update={"weight": METHODS["fp"].weight})
            ),
        ),
        "2: multiplies quantized activations with real weights",
    ),
    "padding by reflection": (
        nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ),
        "0: padding reflect",
    ),
    "a dense layer on pixels": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(6, 2)),
        "1: a dense layer on the last axis",
    ),
    "norm of features": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.BatchNorm1d(144), nn.Linear(144, 2)),
        "2: batch norm over the features of a flattened map",
    ),
    "a map as output": (nn.Sequential(nn.Conv2d(3, 4, 3)), "output is not a single N×classes tensor"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_cannot_be_lowered_is_named(case: str) -> None:
    model, sentence = UNKNOWN[case]
    with pytest.raises(ExportError, match=sentence):
        pair(model.eval(), (3, 8, 8))
