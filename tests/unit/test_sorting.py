"""Rows in order, against Python's own sort."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bnn_train.binary.sorting import ascending, descending

INF = math.inf


def rows(dtype: torch.dtype) -> Tensor:
    drawn = torch.randn(2, 1000, generator=torch.Generator().manual_seed(1)).to(dtype)
    drawn[0, :6] = torch.tensor([INF, -INF, 0.5, 0.5, 0.0, 0.5], dtype=dtype)
    return drawn


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_both_ways(dtype: torch.dtype) -> None:
    x = rows(dtype)
    for found, falls in ((ascending(x), False), (descending(x), True)):
        assert found.dtype == dtype
        assert found.tolist() == [sorted(row, reverse=falls) for row in x.tolist()]


def test_neither_the_numbers_nor_a_graph_are_touched() -> None:
    x = rows(torch.float32)[:, ::3].requires_grad_()
    before = x.detach().clone()
    found = descending(x)
    found.mul_(0)
    assert torch.equal(x, before)
    assert not found.requires_grad


def test_without_numbers() -> None:
    assert ascending(torch.zeros(3, 0)).shape == (3, 0)
    assert ascending(torch.zeros(2, 4, device="meta")).shape == (2, 4)
