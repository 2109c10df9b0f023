"""The kernels' passes against what they replace, number by number."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bnn_train.binary import passes
from bnn_train.binary.sign import sign
from bnn_train.binary.training_kernel import kernel
from bnn_train.packed import native

pytestmark = pytest.mark.skipif(kernel() is None, reason="the packed kernels are not built")

SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e-45, -1e-45, 1.0, -1.0]
SPECIAL += [1 + 2**-23, -1 - 2**-23, 1 - 2**-24, 3e38, -3e38, 2.0**-126, -(2.0**-126)]
COUNT = 3 * 2**16 + 13
"""Several portions, and a rest that fills no vector."""


def numbers() -> Tensor:
    x = torch.randn(COUNT)
    x[: len(SPECIAL)] = x[-len(SPECIAL) :] = torch.tensor(SPECIAL)
    return x


@pytest.fixture(params=native.available())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(passes, "kernel", lambda: request.param)
    return str(request.param)


@pytest.mark.parametrize("threads", [1, 3])
def test_signs(isa: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    x = numbers()
    assert torch.equal(passes.signs(x), torch.where(x < 0, -1.0, 1.0))


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (-1 - 2**-23, 1 + 2**-23), (-1e-45, 1.0), (0.0, 2.5)])
def test_window(bounds: tuple[float, float], isa: str) -> None:
    x, g = numbers(), torch.randn(COUNT)
    g[:9] = torch.tensor([math.nan, math.inf, -math.inf] * 3)
    low, high = bounds
    wanted = torch.where((x > low) & (x < high), g, torch.zeros(()))
    assert torch.equal(passes.window(g, x, low, high).view(torch.int32), wanted.view(torch.int32))


def test_maps_keep_their_layout() -> None:
    x = torch.randn(4, 16, 9, 9).contiguous(memory_format=torch.channels_last)
    found = sign(x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, torch.where(x < 0, -1.0, 1.0))


def test_what_is_left_to_pytorch() -> None:
    x = torch.randn(4, 16, 9, 9)
    assert passes.serves(x)
    assert passes.serves(x, x.clone())
    assert not passes.serves(x[:1])
    assert not passes.serves(x.double())
    assert not passes.serves(x[:, :, :, ::2])
    assert not passes.serves(x, x.contiguous(memory_format=torch.channels_last))
    assert not passes.serves(x.to("meta"))


def test_the_operators_are_registered_as_pytorch_asks() -> None:
    x = torch.randn(2, 3, 5, 5)
    torch.library.opcheck(torch.ops.bnn_train.signs.default, (x,))
    torch.library.opcheck(torch.ops.bnn_train.window.default, (x, x.clone(), -1.0, 1.0))
