"""Products of inputs and weights of several bases, of clips and of shifts: value and gradients against
autograd on the convolution of x̂ and ŵ; precisions, layouts and sizes that training may meet."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_train.binary.layers import BinaryConv2d, BinaryLayer, BinaryLinear
from bnn_train.spec.method import Method
from method_rows import ROWS, abc_inputs, conv, dense, learned

NAMES = [name for name in ROWS if name != "signs × bases, K"]
"""K multiplies outputs, not the product."""
GEOMETRIES: dict[str, dict[str, Any]] = {
    "padded": {"padding": 1},
    "strided": {"padding": (2, 0), "stride": (1, 2), "kernel": (5, 2)},
    "grouped": {"padding": 1, "groups": 2, "dilation": 2},
    "same": {"padding": "same", "kernel": (3, 5)},
    "reflected": {"padding": 1, "padding_mode": "reflect"},
    "dropped out": {"padding": 1, "dropout": 0.4},
    "maps dropped out": {"padding": 1, "dropout": 0.4, "channel_dropout": True},
}


def images(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Noise, with gradients."""
    draw = torch.Generator().manual_seed(4)
    return torch.randn(*shape, generator=draw, dtype=dtype).requires_grad_()


def layer_of(method: Method, *, kernel: Any = 3, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    torch.manual_seed(1)
    return learned(conv(method, kernel, outputs=6, dtype=dtype, **options))


def bordered(layer: BinaryConv2d, seen: Tensor) -> Tensor:
    """x̂ and what stands around it: where that is a sign and x̂ has bases, as many signs, so Σβ of it."""
    if layer.padding_mode != "zeros":
        return F.pad(seen, layer.border, mode=layer.padding_mode)
    assert layer.input_quantizer is not None or not layer.method.padding
    own = {} if layer.input_quantizer is None else dict(layer.input_quantizer.quantizer.named_parameters())
    value = layer.method.padding * (own["weights"].sum() if "weights" in own else 1.0)
    around = 1 - F.pad(torch.ones_like(seen), layer.border)
    return F.pad(seen, layer.border) + around * value


def plain(layer: BinaryLayer, x: Tensor) -> Tensor:
    """The product of x̂ and ŵ, as torch multiplies them."""
    if isinstance(layer, BinaryLinear):
        rows = F.linear(layer.read_input(x.reshape(-1, x.shape[-1])), layer.read_weight(), layer.bias)
        return rows.view(*x.shape[:-1], -1)
    seen, walk = bordered(layer, layer.read_input(x)), (layer.stride, 0, layer.dilation, layer.groups)
    return F.conv2d(seen, layer.read_weight(), layer.bias, *walk)


def results(layer: BinaryLayer, y: Tensor, x: Tensor) -> list[Tensor]:
    """Output, and the gradients of a loss with respect to the input and whatever learns."""
    wanted = (x, *layer.parameters())
    return [y, *torch.autograd.grad((y * torch.linspace(-1, 2, y.numel()).view_as(y)).sum(), wanted)]


def agrees(layer: BinaryLayer, x: Tensor) -> None:
    torch.manual_seed(2)
    found = results(layer, layer(x), x)
    torch.manual_seed(2)
    for own, expected in zip(found, results(layer, plain(layer, x), x), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_convolution(geometry: str, name: str) -> None:
    agrees(layer_of(ROWS[name], **GEOMETRIES[geometry]), images(3, 8, 7, 6))


@pytest.mark.parametrize("value", [-1, 1])
@pytest.mark.parametrize("name", ["abcnet", "irnet", "shift", "signs × bases", "bases × ternary"])
def test_a_border_of_signs(name: str, value: int) -> None:
    agrees(layer_of(ROWS[name].model_copy(update={"padding": value}), padding=1), images(3, 8, 7, 6))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 8), (8,)], ids=["rows", "rows of rows", "one"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_dense_layer(name: str, shape: tuple[int, ...], dropout: float) -> None:
    torch.manual_seed(1)
    layer: Any = learned(dense(ROWS[name], 8, 6, dropout=dropout, dtype=torch.float64))
    agrees(layer, images(*shape))


@pytest.mark.parametrize("method", ["shift", "shifted bases"])
@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 8), (2, 8, 8), (2, 3, 4, 8), (8,)])
def test_shifts_of_latent_weights(method: str, shape: tuple[int, ...]) -> None:
    """A shift belongs to a feature, the last axis, wherever the rows lie, also before real weights."""
    weight = ROWS[method].weight.model_copy(update={"evaluate": "latent"})
    torch.manual_seed(1)
    layer: Any = learned(
        dense(ROWS[method].model_copy(update={"weight": weight}), 8, 6, dtype=torch.float64)
    ).eval()
    x = images(*shape)
    rows = [layer.input_quantizer(row[None])[0] for row in x.reshape(-1, 8)]
    expected = F.linear(torch.stack(rows), layer.weight, layer.bias).view(*shape[:-1], 6)
    torch.testing.assert_close(layer(x), expected)


SUMS_OF_FLOATS = ("reals × bases", "signs × bases, K")
"""Their order shows; dots of codes are whole, and exact in any order."""


def assert_same(name: str, one: Tensor, other: Tensor) -> None:
    if name in SUMS_OF_FLOATS:
        torch.testing.assert_close(one, other)
    else:
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ROWS)
def test_few_images(name: str) -> None:
    """No image gives no output and gradients of 0; one image, the answer that it has among others; a map
    without a batch axis, the same."""
    layer, x = layer_of(ROWS[name], padding=1, dtype=torch.float32), images(3, 8, 7, 6, dtype=torch.float32)
    none = layer(x[:0])
    none.sum().backward()
    assert none.shape == (0, 6, 7, 6)
    assert all(p.grad is not None and not p.grad.any() for p in layer.parameters())
    assert_same(name, layer(x[:1]), layer(x)[:1])
    assert_same(name, layer(x[0]), layer(x)[0])


@pytest.mark.parametrize("name", ROWS)
def test_channels_last(name: str) -> None:
    layer, x = layer_of(ROWS[name], padding=1, dtype=torch.float32), images(3, 8, 7, 6, dtype=torch.float32)
    turned = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    y, other = layer(x), layer(turned)
    assert_same(name, y, other)
    for one, two in zip(results(layer, y, x), results(layer, other, turned), strict=True):
        # some are float32 sums of a thousand numbers of both signs, in two orders
        torch.testing.assert_close(
            one, two, rtol=1e-5, atol=1e-5 * float(two.detach().abs().max().clamp(min=1))
        )


@pytest.mark.parametrize("name", ROWS)
def test_the_meta_device_knows_the_shapes(name: str) -> None:
    layer: Any = conv(ROWS[name], outputs=6, padding=1, stride=2, device="meta")
    x = torch.empty(3, 8, 7, 6, device="meta", requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert (y.shape, y.device.type) == ((3, 6, 4, 3), "meta")
    assert all(p.grad.shape == p.shape for p in (x, *layer.parameters()) if p.grad is not None)
    assert dense(ROWS[name], 8, 6, device="meta")(torch.empty(2, 8, device="meta")).shape == (2, 6)


def coded(layer: Any, x: Tensor) -> list[Tensor]:
    """Codes and factors of weight and input."""
    found = [layer.codes(), *([layer.input_quantizer.decompose(x)] if layer.quantizes_input else [])]
    return [torch.as_tensor(part) for one in found for part in (one.numbers, one.factors) if part is not None]


@pytest.mark.parametrize("name", ROWS)
def test_bfloat16(name: str) -> None:
    """Codes and factors are those of float32; value and gradients are finite, and near: 0.4 % of each term,
    before terms of both signs are summed."""
    layer, x = layer_of(ROWS[name], padding=1, dtype=torch.float32), images(3, 8, 7, 6, dtype=torch.float32)
    full, codes = results(layer, layer(x), x), coded(layer, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, low = layer(x), coded(layer, x)
    assert all(torch.equal(one, other) for one, other in zip(codes, low, strict=True))
    for exact, rounded in zip(full, results(layer, y, x), strict=True):
        assert torch.isfinite(rounded).all()
        assert (rounded.float() - exact).norm() <= 0.1 * exact.norm()
    assert (y.float() - full[0]).norm() <= 0.02 * full[0].norm()


def test_the_unit_of_a_code_keeps_its_digits_in_bfloat16() -> None:
    """15·15 units of 1/15, all of them exact in bfloat16 but the unit, whose rounding would give 15.0625."""
    method = abc_inputs(quantizer={"name": "uniform", "bits": 4}, estimator="unit")
    layer: Any = dense(method, 15, 2, bias=False)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        layer.weight.fill_(1.0)
        y = layer(torch.ones(3, 15))
    assert torch.equal(y.float(), torch.full((3, 2), 15.0))


@pytest.mark.parametrize("method", ["pact", "abcnet"])
def test_a_layer_that_begins_again_has_its_learned_numbers_again(method: str) -> None:
    layer = BinaryLinear(9, 4, method=method, role="body")
    assert layer.input_quantizer is not None
    fresh = [p.detach().clone() for p in layer.input_quantizer.parameters()]
    with torch.no_grad():
        for p in layer.input_quantizer.parameters():
            p.add_(0.3)
    layer.initialise()
    found = list(layer.input_quantizer.parameters())
    assert fresh
    assert all(torch.equal(one, other) for one, other in zip(found, fresh, strict=True))
