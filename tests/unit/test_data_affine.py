"""The affine augmentation against a loop over pixels in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from bnn_train.data.affine import affine
from bnn_train.data.randomness import uniform
from bnn_train.spec.affine import Affine

NONE = {"rotate": 0.0, "scale": 0.0, "shear": 0.0, "translate": 0.0}


def images(count: int = 12) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 2, 9, 7)).astype(np.uint8))


def step(**settings: Any) -> Affine:
    return Affine.model_validate({"name": "affine", **settings})


def looked_up(plane: NDArray[Any], y: float, x: float) -> float:
    """Bilinear, black around."""
    total, top, left = 0.0, int(np.floor(y)), int(np.floor(x))
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
            total += float(plane[row, column]) * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def by_hand(x: NDArray[Any], row: Affine, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    draws = 2 * np.stack([uniform(3, 2, ids, 64 + i) for i in range(5)]) - 1
    found = np.zeros(x.shape)
    height, width = x.shape[2:]
    for n, image in enumerate(x):
        angle, size = np.radians(row.rotate) * draws[0, n], 1 + row.scale * draws[1, n]
        shear = np.array([[1, np.tan(np.radians(row.shear) * draws[2, n])], [0, 1]])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        inverse = np.linalg.inv(size * turn @ shear)
        moved = row.translate * np.array([width * draws[3, n], height * draws[4, n]])
        for i, j in np.ndindex(height, width):
            at = inverse @ (np.array([j - (width - 1) / 2, i - (height - 1) / 2]) - moved)
            for channel, plane in enumerate(image):
                found[n, channel, i, j] = looked_up(plane, at[1] + (height - 1) / 2, at[0] + (width - 1) / 2)
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {**NONE, "rotate": 30.0},
        {**NONE, "scale": 0.3},
        {**NONE, "shear": 20.0},
        {**NONE, "translate": 0.4},
        NONE,
    ],
)
def test_by_hand(settings: dict[str, float]) -> None:
    row, x, ids = step(**settings), images(), np.arange(100, 112)
    result = affine(x, row, seed=3, epoch=2, ids=ids, first_draw=64)
    assert result.dtype == torch.uint8
    assert np.abs(result.numpy() - by_hand(x.numpy(), row, ids)).max() < 0.51
    if settings == NONE:
        assert torch.equal(result, x)


def test_does_not_depend_on_the_batch() -> None:
    row, x, ids = step(), images(), np.arange(12)
    whole = affine(x, row, seed=1, epoch=0, ids=ids)
    order = np.random.default_rng(1).permutation(12)
    assert torch.equal(affine(x[order], row, seed=1, epoch=0, ids=ids[order]), whole[order])
    assert torch.equal(affine(x[7:8], row, seed=1, epoch=0, ids=ids[7:8]), whole[7:8])
    assert not torch.equal(affine(x, row, seed=1, epoch=1, ids=ids), whole)


@pytest.mark.parametrize("settings", [{"scale": 1.0}, {"rotate": -1}, {"shear": 90}, {"translate": 2}])
def test_bounds(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        step(**settings)
