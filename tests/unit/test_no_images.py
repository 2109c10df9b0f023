"""A batch without images passes the layers of every method, forward and back."""

from __future__ import annotations

import pytest
import torch

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.errors import BnnError
from bnn_train.spec.methods import METHODS

SHAPES = {"conv": ((0, 4, 5, 5), (0, 8, 5, 5)), "dense": ((0, 4), (0, 8))}


@pytest.mark.filterwarnings("ignore:var")  # ReCU divides by deviations, here of no numbers
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("method", sorted(METHODS))
def test_no_images(method: str, kind: str) -> None:
    given, wanted = SHAPES[kind]
    try:
        layer = (
            BinaryConv2d(4, 8, 3, padding=1, bias=False, method=method, role="body")
            if kind == "conv"
            else BinaryLinear(4, 8, bias=False, method=method, role="body")
        )
    except BnnError as error:
        pytest.skip(str(error))
    y = layer(torch.randn(given, requires_grad=True))
    assert y.shape == wanted
    y.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in layer.parameters())
    assert layer.eval()(torch.randn(given)).shape == wanted
    assert all(torch.isfinite(number).all() for number in layer.state_dict().values())
