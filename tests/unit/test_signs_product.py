"""Training products on the packed kernels against PyTorch's of the same signs: equal, not close."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_train.binary import signs_product as module
from bnn_train.binary import training_kernel
from bnn_train.binary.product import product
from bnn_train.binary.signs_product import signs_product
from bnn_train.binary.weight_quantizer import WeightQuantizer
from bnn_train.spec.method import WeightSpec
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import L1

pytestmark = pytest.mark.skipif(training_kernel.kernel() is None, reason="the packed kernels are not built")

GEOMETRIES = [
    # inputs, outputs, kernel, stride, padding, dilation, groups, size
    (1, 1, 1, 1, 0, 1, 1, 1),
    (3, 5, 3, 1, 1, 1, 1, 7),
    (33, 20, 3, 2, 1, 1, 1, 9),
    (64, 64, 3, 1, 1, 1, 1, 8),
    (96, 48, 5, 1, 2, 1, 2, 7),
    (16, 16, 3, 1, 2, 2, 16, 8),
    (512, 70, 4, 1, 0, 1, 1, 4),
]


def signs(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.where(torch.rand(*shape, generator=generator) < 0.5, -1.0, 1.0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("case", GEOMETRIES, ids=str)
def test_equals_the_convolution(case: tuple[int, ...], scaled: bool, layout: torch.memory_format) -> None:
    inputs, outputs, kernel, stride, padding, dilation, groups, size = case
    x = signs(3, inputs, size, size).contiguous(memory_format=layout)
    w = signs(outputs, inputs // groups, kernel, kernel, seed=1)
    scale = torch.rand(outputs) if scaled else None
    found = signs_product(x, w, scale, [stride] * 2, [padding] * 2, [dilation] * 2, groups)
    whole = F.conv2d(x.double(), w.double(), None, stride, padding, dilation, groups).float()
    assert torch.equal(found, whole if scale is None else whole * scale.view(1, -1, 1, 1))
    assert found.is_contiguous(memory_format=layout)


def test_the_operator_is_registered_as_pytorch_asks() -> None:
    arguments = (signs(2, 32, 5, 5), signs(8, 32, 3, 3), torch.rand(8), [1, 1], [1, 1], [1, 1], 1)
    torch.library.opcheck(torch.ops.bnn_train.signs_product.default, arguments)


@pytest.mark.parametrize("geometry", [True, False])
def test_product_and_its_gradients_do_not_depend_on_who_multiplies(
    geometry: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bnn_train.binary.geometry import Geometry

    spec = WeightSpec(quantizer=Sign(), scale=L1(), gradient="exact")
    walk = Geometry((1, 1), (1, 1), (1, 1), 1) if geometry else None
    results = []
    for native in (True, False):
        if not native:
            monkeypatch.setattr(module, "kernel", lambda: None)
        x = signs(4, 32, *([6, 6] if geometry else [])).requires_grad_()
        w = torch.linspace(-1, 1, 8 * 32 * (9 if geometry else 1))
        w = w.reshape(8, 32, *([3, 3] if geometry else [])).requires_grad_()
        y = product(x, w, WeightQuantizer(spec, w, centered=False), geometry=walk, signs=True)
        y.square().sum().backward()
        results.append((y.detach(), x.grad, w.grad))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_only_signs_reach_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dropped-out input has zeros, a ternary weight too: PyTorch multiplies those."""
    from bnn_train.binary.layers import BinaryLinear
    from bnn_train.spec.methods import METHODS

    seen: list[int] = []
    real = module.signs_product

    def noted(*arguments: Any) -> Any:
        seen.append(1)
        return real(*arguments)

    monkeypatch.setattr("bnn_train.binary.product.signs_product", noted)
    x = torch.randn(4, 32)
    for row, dropout, expected in (("bnn", 0.0, 1), ("bnn", 0.5, 0), ("dorefa", 0.0, 0)):
        layer = BinaryLinear(32, 8, method=METHODS[row], role="body", dropout=dropout)
        seen.clear()
        layer(x)
        assert len(seen) == expected, row
        layer.eval()
        layer(x)
        assert len(seen) == 2 * expected + (dropout > 0), row
