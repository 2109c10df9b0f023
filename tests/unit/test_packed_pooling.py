"""The reference's steps without weights, against PyTorch and loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bnn_train.packed import bits
from bnn_train.packed.program import Geometry, InputScale, Pool, Subsample
from bnn_train.packed.reference import pooling

RNG = np.random.default_rng(0)
SHAPES = [
    Geometry(kernel=(2, 2), stride=(2, 2)),
    Geometry(kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
    Geometry(kernel=(2, 3), stride=(3, 1), padding=(1, 1)),
    Geometry(kernel=(3, 2), stride=(1, 2), padding=(0, 1)),
]


def pooled(x: np.ndarray, flip: Any = None, **fields: Any) -> np.ndarray:
    return pooling.pool(x, Pool(layer="p", input=0, output=1, **fields), flip)


def reals(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("geometry", SHAPES)
def test_maxima(geometry: Geometry, ceil: bool) -> None:
    x = reals(2, 9, 8, 37) - 3
    x[0, 2, 2, 0] = np.nan
    images = torch.from_numpy(x).permute(0, 3, 1, 2)
    g = geometry
    truth = F.max_pool2d(images, g.kernel, g.stride, g.padding, g.dilation, ceil).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(pooled(x, kind="max", geometry=g, ceil=ceil), truth, equal_nan=True)

    signs = np.sign(x + 3)
    signs[np.isnan(signs)] = 1
    images = torch.from_numpy(signs).permute(0, 3, 1, 2)
    highest = F.max_pool2d(images, g.kernel, g.stride, g.padding, g.dilation, ceil)
    lowest = -F.max_pool2d(-images, g.kernel, g.stride, g.padding, g.dilation, ceil)
    flip = RNG.integers(0, 2, 37).astype(np.uint8)
    wanted = (
        torch.where(torch.from_numpy(flip).bool().view(-1, 1, 1), lowest, highest).permute(0, 2, 3, 1).numpy()
    )
    words = bits.encode(signs.astype(int))
    found = pooled(words, flip, kind="max", geometry=g, ceil=ceil)
    assert np.array_equal(found, bits.encode(wanted.astype(int)))
    plain = pooled(words, kind="max", geometry=g, ceil=ceil)
    assert np.array_equal(plain, bits.encode(highest.permute(0, 2, 3, 1).numpy().astype(int)))


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("geometry", SHAPES)
def test_averages(geometry: Geometry, ceil: bool, inside: bool) -> None:
    x, g = reals(2, 9, 8, 5), geometry
    images = torch.from_numpy(x).permute(0, 3, 1, 2).double()
    truth = F.avg_pool2d(images, g.kernel, g.stride, g.padding, ceil, not inside).permute(0, 2, 3, 1)
    found = pooled(x, kind="average", geometry=g, ceil=ceil, include_padding=not inside)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, truth, rtol=1e-6, atol=1e-6)


def test_an_average_adds_in_row_order() -> None:
    x = np.array([2**24, 1, 1, 0], np.float32).reshape(1, 2, 2, 1)
    assert pooled(x, kind="average", geometry=Geometry(kernel=(2, 2))).item() == 2**22
    assert (
        pooled(x[:, ::-1, ::-1].copy(), kind="average", geometry=Geometry(kernel=(2, 2))).item()
        == 2**22 + 0.5
    )


@pytest.mark.parametrize("groups", [1, 3])
def test_the_scale_of_inputs(groups: int) -> None:
    """K = box(mean |x|): XNOR-Net, section 3.2."""
    x = reals(2, 7, 6, 12)
    g = Geometry(kernel=(3, 2), stride=(2, 1), padding=(1, 1), groups=groups)
    a = torch.from_numpy(x).double().abs().view(2, 7, 6, groups, -1).mean(-1).permute(0, 3, 1, 2)
    box = torch.full((groups, 1, 3, 2), 1 / 6, dtype=torch.float64)
    truth = F.conv2d(a, box, None, g.stride, g.padding, 1, groups).permute(0, 2, 3, 1)
    found = pooling.input_scale(x, InputScale(layer="k", input=0, output=1, geometry=g))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, truth, rtol=1e-7)


def test_subsample() -> None:
    x = reals(2, 5, 4, 3)
    y = pooling.subsample(x, Subsample(layer="s", input=0, output=1, stride=(2, 3), before=2), 8)
    assert y.shape == (2, 3, 2, 8)
    for h, w, c in np.ndindex(3, 2, 8):
        truth = x[:, 2 * h, 3 * w, c - 2] if 2 <= c < 5 else np.zeros(2)
        assert np.array_equal(y[:, h, w, c], truth)


def test_mean() -> None:
    x = reals(2, 5, 4, 3)
    truth = [[sum(map(float, x[n, :, :, c].reshape(-1))) / 20 for c in range(3)] for n in range(2)]
    assert np.array_equal(pooling.mean(x).reshape(2, 3), np.array(truth, np.float32))
    assert pooling.mean(x).shape == (2, 1, 1, 3)
