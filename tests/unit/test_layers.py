"""Binary layers equal float layers fed with quantized values; evaluation changes nothing."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.factory import Layers
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.spec.methods import METHODS
from bnn_train.spec.scales import Unscaled


def np_sign(x: Tensor) -> Tensor:
    return torch.from_numpy(np.where(x.detach().numpy() < 0, -1.0, 1.0)).to(x.dtype)


def conv(method: str, role: str = "body", **options: int) -> BinaryConv2d:
    layer = Layers(METHODS[method]).conv(role, 4, 6, 3, **options)  # type: ignore[arg-type]
    assert isinstance(layer, BinaryConv2d)
    return layer.double().eval()


def alpha(w: Tensor) -> Tensor:
    return w.detach().abs().mean(dim=tuple(range(1, w.dim())), keepdim=True)


@pytest.fixture
def image() -> Tensor:
    return torch.randn(2, 4, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    "options", [{}, {"padding": 1}, {"stride": 2, "padding": 1}, {"groups": 2, "padding": 1}]
)
@pytest.mark.parametrize("bias", [False, True])
def test_conv_equals_float_conv_of_signs(image: Tensor, options: dict[str, Any], bias: bool) -> None:
    for method in ("bnn", "xnor", "bc", "bwn"):
        layer = conv(method, bias=bias, **options)
        if bias:
            nn.init.normal_(layer.bias)
        w = np_sign(layer.weight) * (alpha(layer.weight) if method in ("xnor", "bwn") else 1)
        x = np_sign(image) if method in ("bnn", "xnor") else image
        expected = F.conv2d(x, w, layer.bias, layer.stride, layer.padding, 1, layer.groups)
        torch.testing.assert_close(layer(image), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("value", [-1, 0, 1])
def test_padded_taps_hold_the_methods_value(image: Tensor, value: int) -> None:
    method = METHODS["bnn"].model_copy(update={"padding": value})
    layer = Layers(method).conv("body", 4, 6, 3, padding=1)
    assert isinstance(layer, BinaryConv2d)
    x = F.pad(np_sign(image), (1, 1, 1, 1), value=float(value))
    torch.testing.assert_close(layer.double()(image), F.conv2d(x, np_sign(layer.weight)))


@pytest.mark.parametrize("options", [{"padding": 1}, {"stride": 2, "padding": 1}, {"groups": 2}])
def test_xnor_k_multiplies_by_the_box_filtered_magnitude(image: Tensor, options: dict[str, Any]) -> None:
    layer = conv("xnor_k", bias=True, **options)
    nn.init.normal_(layer.bias)
    groups = options.get("groups", 1)
    plain = F.conv2d(
        np_sign(image),
        np_sign(layer.weight) * alpha(layer.weight),
        None,
        layer.stride,
        layer.padding,
        1,
        groups,
    )
    k = torch.empty_like(plain)
    for o in range(6):  # K of the group that output o belongs to, by a loop over the definition
        group = image.chunk(groups, dim=1)[o // (6 // groups)]
        a = F.pad(group.abs().mean(dim=1), [int(layer.padding[i]) for i in (1, 1, 0, 0)])
        for y in range(plain.shape[2]):
            for x in range(plain.shape[3]):
                top, left = y * layer.stride[0], x * layer.stride[1]
                k[:, o, y, x] = a[:, top : top + 3, left : left + 3].mean(dim=(1, 2))
    torch.testing.assert_close(layer(image), plain * k + layer.bias.view(-1, 1, 1))


def test_linear_with_k() -> None:
    layer = Layers(METHODS["xnor_k"]).linear("body", 9, 4).double()
    assert isinstance(layer, BinaryLinear)
    x = torch.randn(5, 9, dtype=torch.float64)
    expected = F.linear(np_sign(x), np_sign(layer.weight) * alpha(layer.weight)) * x.abs().mean(
        1, keepdim=True
    )
    torch.testing.assert_close(layer(x), expected + layer.bias)


def test_the_first_layer_reads_the_real_image(image: Tensor) -> None:
    layer = conv("bnn", role="first")
    torch.testing.assert_close(layer(image), F.conv2d(image, np_sign(layer.weight)))


@pytest.mark.parametrize("name", sorted(METHODS))
def test_evaluation_is_repeatable_and_changes_nothing(name: str, image: Tensor) -> None:
    layer = Layers(METHODS[name]).conv("body", 4, 6, 3).double().eval()
    layer(image)  # factors of places take the size of the first map that they see
    before = copy.deepcopy(layer.state_dict())
    assert torch.equal(layer(image), layer(image))
    assert all(torch.equal(before[key], value) for key, value in layer.state_dict().items())


def test_stochastic_bc_evaluates_with_its_latent_weights_and_trains_with_signs(image: Tensor) -> None:
    layer = conv("bc_stochastic")
    torch.testing.assert_close(layer(image), F.conv2d(image, layer.weight))
    drawn = layer.train().read_weight()
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    assert not torch.equal(drawn, layer.read_weight())
    assert set(layer.codes().value.unique().tolist()) == {-1.0, 1.0}


def test_dropout_comes_after_the_quantizer() -> None:
    layer = Layers(METHODS["bnn"]).linear("body", 200, 3, dropout=0.5)
    assert isinstance(layer, BinaryLinear)
    seen = layer.train().read_input(torch.randn(10, 200))
    assert set(seen.unique().tolist()) == {-2.0, 0.0, 2.0}
    assert set(layer.eval().read_input(torch.randn(10, 200)).unique().tolist()) == {-1.0, 1.0}


def test_channel_dropout_drops_whole_maps() -> None:
    layer = Layers(METHODS["bnn"]).conv("body", 200, 3, 1, dropout=0.5, channel_dropout=True)
    assert isinstance(layer, BinaryConv2d)
    kept = layer.train().read_input(torch.randn(2, 200, 3, 3)).flatten(2) != 0
    assert torch.equal(kept.any(dim=2), kept.all(dim=2))
    assert 0.3 < float(kept.float().mean()) < 0.7


@pytest.mark.parametrize("name", ["bnn", "xnor", "twn", "dorefa", "bop"])
def test_the_exported_weight_is_that_of_the_forward_pass(name: str) -> None:
    layer = Layers(METHODS[name]).linear("body", 9, 4, bias=False)
    assert isinstance(layer, BinaryLinear)
    assert torch.equal(layer.codes().value, layer.read_weight().detach())


EXACT = {
    name: row
    for name, row in METHODS.items()
    if row.activation.quantizer.quantizes
    and not row.weight.quantizer.samples  # in evaluations drawn, no function
    and not row.weight.quantizer.expects  # in evaluations signs, without a gradient
} | {
    "two bits, no α": METHODS["bnn"].model_copy(update={"activation": METHODS["dorefa"].activation}),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name, row in sorted(EXACT.items())
        for kind in ("conv", "linear")
        if kind == "linear" or not getattr(row.activation.quantizer, "by_window", False)  # has no one x̂
    ],
)
def test_exact_product_has_the_value_and_gradients_of_the_plain_one(
    name: str, kind: str, image: Tensor
) -> None:
    """(u·α)·(c_x ∗ c_w) against x̂ ∗ ŵ by ordinary autograd, the weight's gradient then by its own formula."""
    learned = EXACT[name].output_scale.learns  # a gate around the layer, or factors of 1
    axes = {"padding": 0, **({"output_scale": Unscaled()} if learned else {})}
    row = EXACT[name].model_copy(update=axes)
    layers, generator = Layers(row), torch.Generator().manual_seed(5)
    layer = (
        layers.conv("body", 4, 6, 3, padding=1)
        if kind == "conv"
        else layers.linear("body", 35, 6, bias=False)
    )
    assert isinstance(layer, BinaryConv2d | BinaryLinear)
    layer.double().eval()
    x = (image if kind == "conv" else image.reshape(8, 35)).requires_grad_()
    y = layer(x)
    g = torch.randn(y.shape, dtype=y.dtype, generator=generator)
    got = torch.autograd.grad(y, (x, layer.weight), g)
    assert layer.input_quantizer is not None
    assert layer.weight_quantizer is not None
    x_hat, w_hat = layer.input_quantizer(x), layer.weight_quantizer(layer.weight)
    plain = F.conv2d(x_hat, w_hat, padding=1) if kind == "conv" else F.linear(x_hat, w_hat)
    if layer.output_scale.reads_input:
        box = x.new_full((1, 1, 3, 3), 1 / 9)
        mean = x.abs().mean(1, keepdim=True)
        plain = plain * (F.conv2d(mean, box, padding=1) if kind == "conv" else mean)
    torch.testing.assert_close(y, plain)
    for one, other in zip(got, torch.autograd.grad(plain, (x, layer.weight), g), strict=True):
        torch.testing.assert_close(one, other)


def test_sums_of_signs_are_whole_numbers_whatever_their_order() -> None:
    """Thousands of taps in float32: α·integer, rounded once."""
    layer = Layers(METHODS["xnor"]).linear("body", 9216, 8, bias=False)
    assert isinstance(layer, BinaryLinear)
    x = torch.randn(16, 9216)
    sums = (
        np.where(x.numpy() < 0, -1, 1).astype(np.int64) @ np.where(layer.weight.detach().numpy() < 0, -1, 1).T
    )
    alphas = layer.weight.detach().abs().mean(dim=1)
    order = torch.randperm(9216)
    assert torch.equal(layer(x).detach(), torch.from_numpy(sums).float() * alphas)
    with torch.no_grad():
        layer.weight.copy_(layer.weight[:, order])
    shuffled = layer(x[:, order]).detach() / layer.weight.detach().abs().mean(dim=1)
    assert torch.equal(shuffled.round(), torch.from_numpy(sums).float())
