"""Networks to lower, with batch norms as training leaves them, γ of both signs and 0; their packed twins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bnn_train.export.first import Pixels
from bnn_train.export.flips import check_flips
from bnn_train.export.lower import Lowering, lower
from bnn_train.export.options import Options
from bnn_train.export.parity import Gate, Parity
from bnn_train.packed import PackedModel
from bnn_train.packed.program import Header, Images, version_of

Shape = tuple[int, int, int]


def scramble(model: nn.Module, shape: Shape, seed: int = 0) -> nn.Module:
    """γ and β at random (every seventh γ 0), statistics of random images; evaluation mode."""
    draw = torch.Generator().manual_seed(seed)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            if norm.affine:
                norm.weight.copy_(torch.randn(len(norm.weight), generator=draw))
                norm.weight[::7] = 0
                norm.bias.copy_(torch.randn(len(norm.bias), generator=draw) * 0.3)
            norm.reset_running_stats()
            norm.momentum = None
        for module in model.modules():
            if isinstance(bias := getattr(module, "bias", None), Tensor) and module not in norms:
                bias.copy_(torch.randn(bias.shape, generator=draw) * 0.1)
        model.train()
        model(torch.randn(16, *shape, generator=draw))
    return model.eval()


def pixels(count: int, shape: Shape, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 N×H×W×C noise."""
    channels, height, width = shape
    size = (count, height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


@dataclass(frozen=True)
class MeanStd:
    """A normalization with a mean and deviation for each channel, in torch and for the lowering."""

    channels: int

    @property
    def mean(self) -> Tensor:
        return 0.4 + torch.arange(self.channels) / 10

    @property
    def std(self) -> Tensor:
        return 0.25 + torch.arange(self.channels) / 8

    def __call__(self, images: Tensor) -> Tensor:
        mean, std = self.mean.view(-1, 1, 1), self.std.view(-1, 1, 1)
        return ((images.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

    @property
    def steps(self) -> list[Pixels]:
        return [Pixels("mean_std", {}, {"mean": self.mean.numpy(), "std": self.std.numpy()})]


def header_of(lowered: Lowering, shape: Shape) -> Header:
    channels, height, width = shape
    classes = lowered.program.values[lowered.program.output].channels
    return Header(
        version=version_of(lowered.program),
        images=Images(height=height, width=width, channels=channels, preprocess=lowered.preprocess),
        classes=tuple(map(str, range(classes))),
        method="m",
        model="n",
        program=lowered.program,
        experiment={},
        made_by="test",
    )


@dataclass(frozen=True)
class Pair:
    """A network and its packed twin."""

    model: nn.Module
    lowered: Lowering
    packed: PackedModel
    normalize: Any
    shape: Shape
    notes: list[str]

    @property
    def ops(self) -> list[str]:
        return [step.op for step in self.lowered.program.steps]

    def gate(self, count: int = 4, batches: int = 2) -> Parity:
        """The gate on noise, after the check of thresholds."""
        check_flips(self.lowered, self.packed.program, self.packed.tensors)
        gate = Gate(self.lowered, self.packed, self.normalize)
        return gate.run(pixels(count, self.shape, seed) for seed in range(batches))


def pair(
    model: nn.Module,
    shape: Shape,
    options: Options | None = None,
    normalize: Any = None,
    steps: Sequence[Pixels] | None = None,
    kernel: str = "reference",
) -> Pair:
    """Lower a network; ``normalize`` and ``steps``: MeanStd unless given."""
    normalize = normalize or MeanStd(shape[0])
    steps = normalize.steps if steps is None else steps
    options = options or Options()
    lowered = lower(model, shape, steps, options)
    packed = PackedModel.from_parts(header_of(lowered, shape), lowered.tensors, kernel=kernel)
    return Pair(lowered.model, lowered, packed, normalize, shape, list(lowered.notes))
