"""Real streams between products of signs, lowered: equal to torch on every engine, and no line folded into
thresholds that turns round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.channels import Concat, Gated
from bnn_train.binary.nonlinear import PReLU, RPReLU
from bnn_train.errors import ExportError
from bnn_train.export.sizes import sizes
from bnn_train.packed.program import Channels, Conv, Map, Prelu
from lowering import Pair, pair, scramble
from method_rows import CHANNELS
from native_kernels import kernels  # noqa: F401  # a fixture
from stream_nets import ANY, BLOCKS, FALLING, LINES, RISING, SHAPE, Block, bent, between, network

VERSION_1 = {"relu before the norm", "quick"}


def predicted(made: Pair) -> None:
    for size in sizes(made.lowered):
        assert size.predicted == size.stored, size


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name: str, kernels: tuple[str, ...]) -> None:  # noqa: F811
    model = network(name)
    for kernel in ("reference", *kernels):
        made = pair(model, SHAPE, kernel=kernel)
        assert made.gate().images == 8
    predicted(made)
    assert made.packed.header.version == (1 if name in VERSION_1 else 2)


STEPS = {
    "react": "conv conv conv conv concat map conv mean conv",
    "dense": "conv conv concat map conv concat map conv concat map pool map conv conv mean conv",
    "melius": "conv conv concat map channels channels conv concat map conv mean conv",
    "real to binary": "conv map mean conv conv conv conv mean conv",
    "squeeze and excitation": "conv conv mean conv map map conv mean conv",
    "quick": "conv conv map pool conv conv mean conv",
    "relu before the norm": "conv conv conv mean conv",
}


@pytest.mark.parametrize("name", STEPS)
def test_steps(name: str) -> None:
    assert pair(network(name), SHAPE).ops == STEPS[name].split()


def slopes_between(line: str, ends: tuple[float, float], *after: nn.Module) -> Pair:
    made = bent(LINES[line](), slopes=ends)
    block = between(nn.BatchNorm2d(CHANNELS), made, *after)()
    return pair(scramble(Block(block), SHAPE), SHAPE)


@pytest.mark.parametrize("ends", [RISING, FALLING, ANY], ids=["rising", "falling", "any"])
@pytest.mark.parametrize("line", LINES)
def test_a_line_is_folded_only_where_it_never_turns(line: str, ends: tuple[float, float]) -> None:
    made = slopes_between(line, ends)
    made.gate()
    predicted(made)
    below = np.linspace(*ends, 2)
    above = below if line == "maxout" else np.ones(2)
    folded = bool((np.multiply.outer(below, above) >= 0).all())
    bends = [
        step.epilogue.activation
        for step in made.lowered.program.steps
        if isinstance(step, Conv | Map) and isinstance(step.epilogue.activation, Prelu)
    ]
    assert len(bends) == (0 if folded else 1)


@pytest.mark.parametrize("ends", [RISING, FALLING, ANY], ids=["rising", "falling", "any"])
def test_poolings_before_and_behind_a_line(ends: tuple[float, float]) -> None:
    pooled = slopes_between("maxout", ends, nn.MaxPool2d(2))
    pooled.gate()
    predicted(pooled)
    line = bent(LINES["maxout"](), slopes=ends)
    before = between(nn.MaxPool2d(2), line, nn.BatchNorm2d(CHANNELS))()
    made = pair(scramble(Block(before), SHAPE), SHAPE)
    made.gate()
    predicted(made)


def test_one_falling_channel_is_enough() -> None:
    line = bent(PReLU(CHANNELS), slopes=RISING)
    assert isinstance(line, PReLU)
    with torch.no_grad():
        line.negative[3] = -1e-3
    made = pair(scramble(Block(between(line)()), SHAPE), SHAPE)
    assert any(
        isinstance(s, Conv) and isinstance(s.epilogue.activation, Prelu) for s in made.lowered.program.steps
    )
    made.gate()


def test_a_part_begins_where_torch_does() -> None:
    starts = [
        step.start
        for name in ("a part", "a part from behind", "melius")
        for step in pair(network(name), SHAPE).lowered.program.steps
        if isinstance(step, Channels)
    ]
    assert starts == [2, CHANNELS - 3, 0, CHANNELS]


class Flat(nn.Module):
    """A module on the features of a flattened map."""

    def __init__(self, module: nn.Module, twice: bool = False) -> None:
        super().__init__()
        self.first, self.flat, self.module, self.twice = nn.Conv2d(3, 4, 8), nn.Flatten(), module, twice
        self.last = nn.Linear(8 * (1 + twice), 3)

    def forward(self, x: Any) -> Any:
        x = self.flat(self.first(x))
        return self.last(self.module(x, x) if self.twice else self.module(x))


class OneFactor(nn.Module):
    """One factor for all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.mean = nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)
        self.one, self.gated = nn.Linear(4, 1), Gated()

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        y = self.gated(x, self.one(torch.flatten(self.mean(x), 1)))
        return torch.flatten(self.mean(y), 1)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Flat(nn.PReLU(8)), "module: PReLU of the features of a flattened map"),
        (Flat(RPReLU(8)), "module: RPReLU of the features"),
        (Flat(Concat(), twice=True), "module: Concat of the features"),
        (OneFactor(), r"gated: its gate has the shape \(1, 1, 1\)"),
    ],
)
def test_refusals(model: nn.Module, sentence: str) -> None:
    with pytest.raises(ExportError, match=sentence):
        pair(model.eval(), SHAPE)


def test_a_slope_that_is_no_number() -> None:
    line = bent(RPReLU(CHANNELS))
    with torch.no_grad():
        next(line.parameters())[2] = float("nan")
    model = scramble(Block(between(nn.BatchNorm2d(CHANNELS))()), SHAPE)
    assert isinstance(model, Block)
    model.block.append(line)  # type: ignore[operator]  # a Sequential
    with pytest.raises(ExportError, match=r"block\.2: a slope or shift is not finite"):
        pair(model, SHAPE)
