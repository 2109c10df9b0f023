"""Narrow residual networks: no strided 1×1 convolution that oneDNN's gradient cannot take."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnn_train.models.build import build
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import ResNet18, ResNet20
from pairs import ROWS

NARROW = [
    ResNet18(name="resnet18", width=4),
    ResNet18(name="resnet18", width=15),
    ResNet20(name="resnet20", width=6, shortcut="B"),
]


@pytest.mark.parametrize("network", NARROW, ids=lambda network: f"{network.name}-{network.width}")
@pytest.mark.parametrize("method", ROWS)
def test_no_strided_1x1_convolution_reads_under_16_channels(
    network: ResNet18 | ResNet20, method: str
) -> None:
    with torch.device("meta"):
        model = build(network, METHODS[method], (3, 32, 32), 10)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert convolutions
    assert all(m.stride == (1, 1) or m.in_channels >= 16 for m in convolutions)


@pytest.mark.parametrize("side", [8, 7])
def test_the_shortcut_is_still_the_strided_convolution(side: int) -> None:
    model = build(ResNet18(name="resnet18", width=4), METHODS["fp"], (3, 32, 32), 10).double()
    shortcut = model.get_submodule("stage2.0.shortcut")
    x = torch.randn(2, 4, side, side, dtype=torch.float64)
    weight = next(p for p in shortcut.parameters() if p.dim() == 4)
    norm = next(m for m in shortcut if isinstance(m, nn.BatchNorm2d))  # type: ignore[attr-defined]
    torch.testing.assert_close(shortcut(x), norm(F.conv2d(x, weight, stride=2)))
