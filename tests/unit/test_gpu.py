"""On a GPU, products of signs are whole numbers, exactly; TF32 stays off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.config.schema import PadCropFlip, Run
from bnn_train.data.augment import pad_crop_flip
from bnn_train.data.transfer import ahead
from bnn_train.training.setup import choose_device

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]

GEOMETRIES = [
    # inputs, outputs, kernel, stride, padding, dilation, groups, size; Winograd and FFT would serve some
    (64, 64, 3, 1, 1, 1, 1, 32),
    (256, 256, 3, 1, 1, 1, 1, 14),
    (512, 512, 3, 1, 1, 1, 1, 7),
    (96, 256, 5, 1, 2, 1, 2, 27),
    (128, 128, 3, 2, 1, 1, 1, 28),
    (64, 128, 1, 2, 0, 1, 1, 28),
    (64, 64, 3, 1, 2, 2, 64, 16),
]


@pytest.fixture
def gpu() -> torch.device:
    return choose_device(Run(device="cuda"))


def whole(x: Tensor) -> Tensor:
    """±1 as int64 on the CPU."""
    return torch.where(x.cpu() < 0, -1, 1)


@pytest.mark.parametrize("case", GEOMETRIES, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_of_signs_is_a_sum_of_integers(
    layout: torch.memory_format, case: tuple[int, ...], gpu: torch.device
) -> None:
    inputs, outputs, kernel, stride, padding, dilation, groups, size = case
    walk: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    layer = BinaryConv2d(inputs, outputs, kernel, bias=False, method="bnn", role="body", **walk)
    layer = layer.to(gpu, memory_format=layout)  # type: ignore[call-overload]
    x = torch.randn(32, inputs, size, size, device=gpu).contiguous(memory_format=layout)
    expected = F.conv2d(whole(x).double(), whole(layer.weight.detach()).double(), None, **walk)
    assert torch.equal(layer(x).detach().cpu().double(), expected)


def test_a_dense_product_of_signs_is_a_sum_of_integers(gpu: torch.device) -> None:
    layer = BinaryLinear(9216, 512, bias=False, method="bnn", role="body").to(gpu)
    x = torch.randn(128, 9216, device=gpu)
    expected = whole(x).numpy() @ whole(layer.weight.detach()).numpy().T
    np.testing.assert_array_equal(layer(x).detach().cpu().numpy(), expected)


def test_real_products_keep_the_bits_of_float32(gpu: torch.device) -> None:
    """TF32's 10 bits would be off by a thousand times more."""
    x, w = torch.randn(8, 64, 16, 16, device=gpu), torch.randn(64, 64, 3, 3, device=gpu)
    exact = F.conv2d(x.double(), w.double(), padding=1)
    error = (F.conv2d(x, w, padding=1).double() - exact).abs().max()
    bound = 576 * 2**-24 * F.conv2d(x.abs().double(), w.abs().double(), padding=1).max()
    assert float(error) <= float(bound)
    a, b = x.flatten(1), torch.randn(16384, 64, device=gpu)
    error = ((a @ b).double() - a.double() @ b.double()).abs().max()
    assert float(error) <= 16384 * 2**-24 * float((a.abs() @ b.abs()).max())
    assert not torch.backends.cudnn.benchmark


def test_batches_copied_ahead_are_the_same(gpu: torch.device) -> None:
    batches = [(torch.randn(64, 3, 32, 32).pin_memory(), torch.full((64,), i)) for i in range(20)]
    sums = []
    for images, labels in ahead(iter(batches), gpu):
        for _ in range(20):  # enough to do that the next copy overlaps
            torch.mm(torch.ones(512, 512, device=gpu), torch.ones(512, 512, device=gpu))
        sums.append((images.double().sum(), labels.sum()))
    for (images, labels), (found, count) in zip(batches, sums, strict=True):
        assert float(found) == pytest.approx(float(images.double().sum()), abs=1e-6)
        assert int(count) == int(labels.sum())


def test_crops_are_those_of_the_cpu(gpu: torch.device) -> None:
    step, ids = PadCropFlip(name="pad_crop_flip"), np.arange(100)
    images = torch.randint(0, 256, (100, 3, 32, 32), dtype=torch.uint8)
    here = pad_crop_flip(images, step, seed=1, epoch=2, ids=ids)
    assert torch.equal(pad_crop_flip(images.to(gpu), step, seed=1, epoch=2, ids=ids).cpu(), here)
