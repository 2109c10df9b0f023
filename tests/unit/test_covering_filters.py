"""Filters over a whole map are dense products: equal to the convolution, and so are their gradients."""

from __future__ import annotations

import pytest
import torch

from bnn_train.binary.geometry import Geometry
from bnn_train.binary.product import covers, exact, gradients
from bnn_train.binary.sign import sign

ALONE = Geometry((1, 1), (0, 0), (1, 1), 1)
X, W, G = (sign(torch.randn(shape)).double() for shape in ((9, 4, 3, 5), (6, 4, 3, 5), (9, 6, 1, 1)))


@pytest.mark.parametrize(
    "order", [torch.contiguous_format, torch.channels_last], ids=["rows", "channels last"]
)
def test_a_covering_filter(order: torch.memory_format) -> None:
    x, w = X.clone(memory_format=order).requires_grad_(), W.clone().requires_grad_()
    wanted = torch.nn.functional.conv2d(x, w)
    assert torch.equal(exact(x.detach(), W, ALONE, signs=False, whole=True), wanted)
    wanted.backward(G)
    assert covers(x, w, ALONE)
    grad_x, grad_w = gradients(G, x.detach(), W, ALONE, wanted_x=True, wanted_w=True)
    for found, expected in ((grad_x, x.grad), (grad_w, w.grad)):
        assert found is not None
        assert expected is not None
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("x", "w", "geometry"),
    [
        (X, W, Geometry((1, 1), (1, 0), (1, 1), 1)),
        (X, W[:, :2], Geometry((1, 1), (0, 0), (1, 1), 2)),
        (X, W[..., :3], ALONE),
    ],
    ids=["padded", "groups", "smaller"],
)
def test_other_filters_walk(x: torch.Tensor, w: torch.Tensor, geometry: Geometry) -> None:
    assert not covers(x, w, geometry)
    wanted = torch.nn.functional.conv2d(x, w, None, *geometry)
    assert torch.equal(exact(x, w, geometry, signs=False, whole=True), wanted)
