"""Products of real inputs with signs by tables of sums: PyTorch's numbers, in training alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_train.binary import real_product as module
from bnn_train.binary.geometry import Geometry
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.binary.sign_gradients import spread
from bnn_train.binary.training_kernel import kernel

pytestmark = pytest.mark.skipif(kernel() is None, reason="the packed kernels are not built")

GEOMETRIES = [  # padding, dilation, kernel
    ((0, 0), (1, 1), (1, 1)),
    ((1, 1), (1, 1), (3, 3)),
    ((0, 0), (1, 1), (3, 3)),
    ((2, 2), (1, 1), (3, 3)),
    ((0, 3), (2, 1), (3, 5)),
]


@pytest.mark.parametrize("case", GEOMETRIES, ids=str)
def test_whole_numbers_give_the_convolution(case: tuple[tuple[int, int], ...]) -> None:
    padding, dilation, size = case
    x, codes = torch.randint(-50, 50, (11, 9, 8, 10)).float(), torch.randn(20, 9, *size).sign()
    found = spread(x, codes, Geometry((1, 1), padding, dilation, 1))
    wanted = F.conv2d(x.double(), codes.double(), None, 1, padding, dilation)
    assert torch.equal(found, wanted.float())


def test_whole_numbers_give_the_dense_product() -> None:
    x, codes = torch.randint(-50, 50, (40, 70)).float(), torch.randn(33, 70).sign()
    assert torch.equal(spread(x, codes), (x.double() @ codes.double().T).float())


def layers() -> dict[str, tuple[Any, Tensor]]:
    """With what they read."""
    maps = torch.randn(9, 16, 9, 9)
    return {
        "conv": (BinaryConv2d(16, 24, 3, 1, 1, method="bwn", role="body"), maps),
        "two pixels a step": (BinaryConv2d(16, 24, 3, 2, 1, method="bc", role="body"), maps),
        "dense": (BinaryLinear(40, 30, method="lab", role="body"), torch.randn(9, 40)),
        "learned": (
            BinaryConv2d(16, 24, 3, 1, 1, method=_learned(), role="body"),
            maps,
        ),
    }


def _learned() -> Any:
    from bnn_train.spec.methods import METHODS
    from bnn_train.spec.scales import Learned

    row = METHODS["bwn"]
    return row.model_copy(update={"weight": row.weight.model_copy(update={"scale": Learned()})})


@pytest.mark.parametrize("name", layers())
def test_training_has_the_numbers_that_it_had(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = layers()[name]
    torch.nn.init.normal_(layer.bias)
    g, found = torch.randn_like(layer(x)), []
    seen: list[int] = []
    summed = module._RealProduct.apply

    def apply(*given: Any) -> Tensor:
        seen.append(1)
        result: Tensor = summed(*given)
        return result

    monkeypatch.setattr(module._RealProduct, "apply", apply)
    for serves in (module.serves, lambda *_: False):
        monkeypatch.setattr("bnn_train.binary.quantized_layer.serves", serves)
        given = x.clone().requires_grad_()
        y = layer(given)
        found.append((y.detach(), *torch.autograd.grad(y, [given, *layer.parameters()], g)))
    assert seen == [1]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


def test_what_is_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluation, few images or channels, codes that are no signs, and other precisions."""
    monkeypatch.setattr(module._RealProduct, "apply", None)
    x = torch.randn(9, 16, 9, 9)
    layer = BinaryConv2d(16, 24, 3, method="bwn", role="body")
    layer.eval()(x)
    layer.train()(x[:7])
    with torch.no_grad():
        layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x)
    layer.double()(x.double())
    BinaryConv2d(3, 24, 3, method="bwn", role="body")(x[:, :3])
    BinaryConv2d(16, 24, 3, method="twn", role="body")(x)
    BinaryConv2d(16, 24, 3, groups=2, method="bwn", role="body")(x)
