"""Every network under every method: shapes, gradients, initial values, and images that are too small."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import binary_networks
from bnn_train.binary.layers import BinaryLayer, binary_layers
from bnn_train.errors import BnnError
from bnn_train.models.build import BUILDERS, build
from bnn_train.models.resnet import PadShortcut, Residual
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import (
    MLP,
    NETWORKS,
    NIN,
    AlexNet,
    ConvNet,
    Extraction,
    LeNet5,
    Network,
    ReActNetA,
    ResNet18,
    ResNet20,
    ResNet34,
    TinyConvNet,
    VGGSmall,
)
from pairs import pairs

# Each network, slim, and the smallest image it takes.
SMALLEST: list[tuple[Network, tuple[int, int, int]]] = [
    (MLP(name="mlp", width=16), (1, 1, 1)),
    (LeNet5(name="lenet5"), (1, 16, 16)),
    (ConvNet(name="convnet", width=4), (3, 8, 8)),
    (VGGSmall(name="vgg_small", width=4), (3, 8, 8)),
    (TinyConvNet(name="tiny_convnet", width=4), (1, 8, 8)),
    (NIN(name="nin"), (3, 1, 1)),
    (AlexNet(name="alexnet", width=0.02), (3, 15, 15)),
    (Extraction(name="extraction", width=0.05), (3, 16, 16)),
    (Extraction(name="extraction", width=0.05), (3, 64, 64)),
    (ResNet18(name="resnet18", width=4), (3, 1, 1)),
    (ResNet18(name="resnet18", width=4, stem="imagenet"), (3, 1, 1)),
    (ResNet34(name="resnet34", width=4, shortcut="A"), (3, 9, 9)),
    (ResNet20(name="resnet20", width=4), (1, 28, 28)),
    (ResNet20(name="resnet20", width=4, shortcut="B"), (1, 7, 7)),
    *binary_networks.SMALLEST,
    (ReActNetA(name="reactnet_a", width=4), (3, 8, 8)),
]


def test_every_network_has_a_builder() -> None:
    assert set(BUILDERS) == set(NETWORKS) == {network.name for network, _ in SMALLEST}


@pytest.mark.parametrize(("method", "smallest"), pairs(SMALLEST, lambda pair: pair[0].name))
def test_forward(smallest: tuple[Network, tuple[int, int, int]], method: str) -> None:
    """Logits of the right shape, finite in both modes, and a gradient for every parameter."""
    network, shape = smallest
    model = build(network, METHODS[method], shape, 7)
    x = torch.randn(2, *shape)
    logits = model(x)
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    with torch.no_grad():
        evaluated = model.eval()(x)
    assert evaluated.shape == (2, 7)
    assert bool(torch.isfinite(logits).all())
    assert bool(torch.isfinite(evaluated).all())


@pytest.mark.parametrize(
    ("network", "side", "least"),
    [
        (LeNet5(name="lenet5"), 15, 16),
        (ConvNet(name="convnet"), 7, 8),
        (VGGSmall(name="vgg_small"), 7, 8),
        (AlexNet(name="alexnet"), 14, 15),
    ],
)
def test_too_small(network: Network, side: int, least: int) -> None:
    with pytest.raises(BnnError) as caught:
        build(network, METHODS["fp"], (3, side, 40), 10)
    assert str(caught.value) == (
        f"model {network.name}: images of {side}×40 pixels are too small, "
        f"it needs {least}×{least} or more; set data.image_size or choose another network"
    )


def test_oblong_images() -> None:
    """Flattened maps may be oblong; AlexNet's fc6 is square and says so."""
    for network in (LeNet5(name="lenet5"), ConvNet(name="convnet", width=2), NIN(name="nin")):
        assert build(network, METHODS["fp"], (1, 16, 24), 5)(torch.zeros(2, 1, 16, 24)).shape == (2, 5)
    with pytest.raises(BnnError, match="square, not 16×24"):
        build(AlexNet(name="alexnet"), METHODS["fp"], (1, 16, 24), 5)


def test_type_a_shortcut() -> None:
    """Every second pixel; new channels of zeros, half on each side."""
    x = torch.arange(2 * 2 * 5 * 5.0).reshape(2, 2, 5, 5)
    expected = torch.zeros(2, 4, 3, 3)
    expected[:, 1:3] = x[:, :, [0, 2, 4]][:, :, :, [0, 2, 4]]
    assert torch.equal(PadShortcut(2, 4, 2)(x), expected)


def test_residual_adds_before_the_nonlinearity() -> None:
    block = Residual(nn.Identity(), nn.Identity(), nn.ReLU())
    assert block(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 4.0]


def test_bireal_block_is_the_papers() -> None:
    """x ← BN(conv(sign x)) + x, twice; α = mean |w| per filter; sign(0) = +1."""
    model: Any = build(ResNet20(name="resnet20", width=2), METHODS["bireal"], (1, 6, 6), 3).double().eval()
    x = expected = torch.randn(2, 2, 6, 6, dtype=torch.float64)  # in float32 rounding may turn a sign
    for half in model.stage1[:2]:
        conv, norm = half.body
        w = conv.weight
        binary = w.abs().mean((1, 2, 3), keepdim=True) * torch.where(w < 0, -1.0, 1.0).double()
        expected = norm(F.conv2d(torch.where(expected < 0, -1.0, 1.0).double(), binary, padding=1)) + expected
    torch.testing.assert_close(model.stage1[:2](x), expected)


def real(model: nn.Module, kind: type[nn.Module]) -> list[Any]:
    return [m for m in model.modules() if isinstance(m, kind) and not isinstance(m, BinaryLayer)]


@pytest.mark.parametrize(
    ("network", "side", "std"),
    [
        (ResNet18(name="resnet18", width=16), 32, lambda i, o, k: math.sqrt(2 / (k * k * o))),
        (VGGSmall(name="vgg_small", width=32), 32, lambda i, o, k: math.sqrt(2 / (k * k * o))),
        (AlexNet(name="alexnet", width=0.25), 32, lambda i, o, k: math.sqrt(2 / (k * k * i))),
        (LeNet5(name="lenet5"), 28, lambda i, o, k: math.sqrt(2 / (k * k * i))),
        (ConvNet(name="convnet", width=32), 32, lambda i, o, k: math.sqrt(2 / (k * k * (i + o)))),
        (NIN(name="nin"), 32, lambda i, o, k: 0.05),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_initial_values(network: Network, side: int, std: Callable[..., float]) -> None:
    model = build(network, METHODS["fp"], (3, side, side), 10)
    layers = real(model, nn.Conv2d)
    assert len(layers) > 1
    for layer in layers:
        o, i, k, _ = layer.weight.shape
        n = layer.weight.numel()
        assert float(layer.weight.detach().std()) == pytest.approx(std(i, o, k), rel=5 / math.sqrt(n))
    for layer in [*layers, *real(model, nn.Linear)]:
        assert layer.bias is None or bool((layer.bias == 0).all())


@pytest.mark.parametrize(("network", "shape"), SMALLEST)
def test_networks_leave_the_start_of_latent_weights_to_the_method(
    network: Network, shape: tuple[int, int, int]
) -> None:
    """BNN: U(−1, 1), whose standard deviation is 1/√3."""
    for _, layer in binary_layers(build(network, METHODS["bnn"], shape, 10)):
        w = layer.weight.detach()
        assert float(w.abs().max()) <= 1
        assert float(w.std()) == pytest.approx(3**-0.5, rel=5 / math.sqrt(w.numel()))


def test_only_resnets_and_vgg_have_no_convolution_biases() -> None:
    for network, shape in SMALLEST:
        biased = {m.bias is not None for m in real(build(network, METHODS["fp"], shape, 5), nn.Conv2d)}
        if network.name != "extraction":  # a bias where no norm follows
            own = ("resnet", "vgg", "binarydensenet", "meliusnet", "quicknet", "reactnet", "tiny")
            assert biased <= {not network.name.startswith(own)}


def test_extraction_has_a_bias_where_no_norm_follows() -> None:
    model = build(Extraction(name="extraction", width=0.05), METHODS["fp"], (3, 16, 16), 5)
    assert [m.bias is not None for m in real(model, nn.Conv2d)] == [False] * 20 + [True]


def test_the_same_seed_builds_the_same_network() -> None:
    first, second = (_seeded(3), _seeded(3))
    assert all(torch.equal(a, b) for a, b in zip(first.values(), second.values(), strict=True))
    assert not torch.equal(first["stem.0.weight"], _seeded(4)["stem.0.weight"])


def _seeded(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return build(ResNet20(name="resnet20", width=4), METHODS["xnor"], (3, 8, 8), 10).state_dict()
