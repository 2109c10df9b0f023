"""Gradients of products of signs against PyTorch's of the same numbers, and against their stated order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_train.binary import sign_gradients as module
from bnn_train.binary.geometry import Geometry
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.binary.sign_gradients import input_gradient, serves_gradients, weight_gradient
from bnn_train.binary.training_kernel import kernel
from bnn_train.packed import native

pytestmark = pytest.mark.skipif(kernel() is None, reason="the packed kernels are not built")

CASES = {
    # images, inputs, outputs, height, width, kernel, stride, padding, dilation
    "as in ResNet": (32, 16, 16, 8, 8, (3, 3), (1, 1), (1, 1), (1, 1)),
    "odd": (9, 5, 7, 6, 7, (3, 3), (2, 2), (1, 1), (1, 1)),
    "a rest of each block": (33, 40, 33, 7, 5, (3, 3), (1, 1), (1, 1), (1, 1)),
    "several portions": (70, 17, 65, 5, 5, (1, 1), (2, 2), (0, 0), (1, 1)),
    "many outputs": (16, 24, 70, 9, 9, (5, 5), (3, 3), (2, 2), (1, 1)),
    "holes": (50, 12, 100, 7, 8, (3, 3), (1, 1), (2, 2), (2, 2)),
    "uneven": (8, 3, 4, 11, 6, (2, 3), (2, 1), (1, 0), (1, 2)),
    "rows that no window meets": (8, 8, 8, 9, 9, (1, 1), (4, 4), (0, 0), (1, 1)),
}


@pytest.fixture(params=native.available())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every instruction set of this machine in turn."""
    monkeypatch.setattr(module, "kernel", lambda: request.param)
    return str(request.param)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def signs(*shape: int) -> Tensor:
    return torch.where(torch.rand(*shape) < 0.5, -1.0, 1.0)


def operands(name: str, upstream: Callable[..., Tensor]) -> tuple[Tensor, Tensor, Tensor, Geometry]:
    """x, codes, g and the geometry of a case."""
    images, inputs, outputs, height, width, kernel, stride, padding, dilation = CASES[name]
    x, codes = signs(images, inputs, height, width), signs(outputs, inputs, *kernel)
    y = torch.nn.functional.conv2d(x, codes, None, stride, padding, dilation)
    return x, codes, upstream(*y.shape), Geometry(stride, padding, dilation, 1)


def by_torch(x: Tensor, codes: Tensor, g: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    stride, padding, dilation, _ = geometry
    found = torch.ops.aten.convolution_backward(
        g, x, codes, None, stride, padding, dilation, False, [0, 0], 1, [True, True, False]
    )
    return found[0], found[1]


def whole(*shape: int) -> Tensor:
    """Numbers whose sums float32 holds."""
    return torch.randint(-50, 50, shape).float()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", CASES)
def test_whole_numbers_are_pytorchs(name: str, layout: torch.memory_format, isa: str, threads: int) -> None:
    x, codes, g, geometry = operands(name, whole)
    of_x, of_codes = by_torch(x.double(), codes.double(), g.double(), geometry)
    x, codes, g = (t.contiguous(memory_format=layout) for t in (x, codes, g))
    assert torch.equal(input_gradient(g, x, codes, None, geometry), of_x.float())
    assert torch.equal(weight_gradient(g, x, codes, geometry), of_codes.float())


@pytest.mark.parametrize("name", CASES)
def test_real_numbers_are_near_the_sum_and_alike_everywhere(
    name: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, codes, g, geometry = operands(name, torch.randn)
    alpha = torch.rand(len(codes)) + 0.5
    scaled = codes * alpha.view(-1, 1, 1, 1)
    of_x, of_codes = by_torch(x.double(), scaled.double(), g.double(), geometry)
    found = []
    for isa in native.available():
        monkeypatch.setattr(module, "kernel", lambda isa=isa: isa)
        found.append((input_gradient(g, x, codes, alpha, geometry), weight_gradient(g, x, codes, geometry)))
    for a, b in found:
        assert torch.equal(a, found[0][0])
        assert torch.equal(b, found[0][1])
    assert (found[0][0] - of_x).abs().max() < 1e-6 * of_x.abs().max()
    assert (found[0][1] - of_codes).abs().max() < 1e-6 * of_codes.abs().max()


def in_order(vectors: NDArray[np.float32], negative: NDArray[np.bool_]) -> Any:
    """Σ_k ±vectors[k] in float32: fours (±k0 ± k1) + (±k2 ± k3), added one by one, sixteen fours to a sum."""
    rest = -len(vectors) % 8
    k = np.concatenate([vectors, np.zeros((rest, *vectors.shape[1:]), np.float32)])
    s = np.where(np.concatenate([negative, np.zeros(rest, bool)]), np.float32(-1), np.float32(1))
    k = k * s.reshape(-1, *[1] * (k.ndim - 1))
    fours = (k[0::4] + k[1::4]) + (k[2::4] + k[3::4])
    total = np.zeros(vectors.shape[1:], np.float32)
    for begin in range(0, len(fours), 16):
        part = np.zeros_like(total)
        for four in fours[begin : begin + 16]:
            part = part + four
        total = total + part
    return total


def test_the_order_of_a_sum_is_the_stated_one(isa: str) -> None:
    """A dense layer: over outputs for the input, over images for the weight, 64 to a portion."""
    x, codes, g, alpha = signs(70, 10), signs(90, 10), torch.randn(70, 90), torch.rand(90)
    of_x = input_gradient(g, x, codes, alpha, None).numpy()
    of_codes = weight_gradient(g, x, codes, None).numpy()
    scaled = (g * alpha).numpy()
    for i in range(10):
        assert np.array_equal(of_x[:, i], in_order(scaled.T, (codes[:, i] < 0).numpy()))
        assert np.array_equal(of_codes[:, i], in_order(g.numpy(), (x[:, i] < 0).numpy()))


def test_the_operators_are_registered_as_pytorch_asks() -> None:
    g, codes, x = torch.randn(8, 8, 5, 5), signs(8, 16, 3, 3), signs(8, 16, 5, 5)
    geometry = ([1, 1], [1, 1], [1, 1])
    torch.library.opcheck(
        torch.ops.bnn_train.signs_input_gradient.default, (g, codes, torch.rand(8), [8, 16, 5, 5], *geometry)
    )
    torch.library.opcheck(torch.ops.bnn_train.signs_weight_gradient.default, (g, x, [8, 16, 3, 3], *geometry))


def test_what_is_left_to_pytorch() -> None:
    assert serves_gradients(signs(8, 4, 5, 5), signs(4, 4, 3, 3), Geometry((1, 1), (1, 1), (1, 1), 1))
    assert serves_gradients(signs(8, 4), signs(4, 4), None)
    assert not serves_gradients(signs(7, 4, 5, 5), signs(4, 4, 3, 3), Geometry((1, 1), (1, 1), (1, 1), 1))
    assert not serves_gradients(signs(8, 4, 5, 5), signs(4, 2, 3, 3), Geometry((1, 1), (1, 1), (1, 1), 2))
    assert not serves_gradients(signs(8, 4).double(), signs(4, 4).double(), None)


@pytest.mark.parametrize("method", ["bnn", "xnor", "bireal", "reactnet", "xnorpp", "bop"])
@pytest.mark.parametrize("kind", ["conv", "linear"])
def test_a_layer_has_the_gradients_that_it_had(
    kind: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer: Any
    if kind == "conv":
        layer, x = BinaryConv2d(16, 24, 3, 2, 1, method=method, role="body"), torch.randn(9, 16, 9, 9)
    else:
        layer, x = BinaryLinear(40, 30, method=method, role="body"), torch.randn(9, 40)
    layer(x)  # factors of places take the size of the first map that they see
    g, found = torch.randn_like(layer(x)), []
    for serves in (serves_gradients, lambda *_: False):
        monkeypatch.setattr("bnn_train.binary.product.serves_gradients", serves)
        given = x.clone().requires_grad_()
        found.append(torch.autograd.grad(layer(given), [given, *layer.parameters()], g))
    for native_one, torchs in zip(*found, strict=True):
        torch.testing.assert_close(native_one, torchs, rtol=1e-5, atol=1e-5 * float(torchs.abs().max()))
