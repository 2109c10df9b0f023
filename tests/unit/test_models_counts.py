"""Parameters and multiply-accumulates of every network against published numbers and torchvision."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from bnn_train.compat import import_torchvision
from bnn_train.models.build import build
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import (
    MLP,
    NIN,
    AlexNet,
    ConvNet,
    LeNet5,
    Network,
    ResNet18,
    ResNet20,
    ResNet34,
    TinyConvNet,
    VGGSmall,
)

MNIST, CIFAR, IMAGENET = (1, 28, 28), (3, 32, 32), (3, 224, 224)


def meta(network: Network, method: str, shape: tuple[int, int, int], classes: int = 10) -> nn.Module:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return build(network, METHODS[method], shape, classes)


def products(model: nn.Module) -> list[Any]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def weights(model: nn.Module) -> int:
    return sum(m.weight.numel() for m in products(model))


def macs(model: nn.Module, shape: tuple[int, int, int]) -> int:
    """Output pixels × weights, summed over the layers (no groups, no padding discount)."""
    total = 0

    def count(layer: Any, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += math.prod(output.shape[2:]) * layer.weight.numel()

    for layer in products(model):
        layer.register_forward_hook(count)
    model.eval()(torch.empty(1, *shape, device="meta"))
    return total


# Published: BinaryNet's printed count 14 033 566; He et al.'s 0.27 M (ResNet-20, type A);
# torchvision's 11 689 512 and 21 797 672; the widely used CIFAR ResNet-18's 11 173 962.
@pytest.mark.parametrize(
    ("network", "method", "shape", "classes", "expected"),
    [
        (ConvNet(name="convnet"), "bc", CIFAR, 10, 14_033_566),
        (ConvNet(name="convnet", width=64), "bnn", CIFAR, 10, 6_406_494),
        (ResNet20(name="resnet20"), "fp", CIFAR, 10, 269_722),
        (ResNet18(name="resnet18"), "fp", IMAGENET, 1000, 11_689_512),
        (ResNet34(name="resnet34"), "fp", IMAGENET, 1000, 21_797_672),
        (ResNet18(name="resnet18"), "fp", CIFAR, 10, 11_173_962),
        (ResNet18(name="resnet18", stem="small"), "fp", CIFAR, 10, 11_173_962),
    ],
)
def test_published_parameters(
    network: Network, method: str, shape: tuple[int, int, int], classes: int, expected: int
) -> None:
    assert parameters(meta(network, method, shape, classes)) == expected


@pytest.mark.parametrize(
    ("network", "shape", "expected"),
    [
        (ConvNet(name="convnet"), CIFAR, 14_022_016),
        (ConvNet(name="convnet", width=64), CIFAR, 6_397_632),
        (MLP(name="mlp", width=1024), MNIST, 2_910_208),
        (MLP(name="mlp", width=2048), MNIST, 10_014_720),
        (MLP(name="mlp", width=4096), MNIST, 36_806_656),
        (TinyConvNet(name="tiny_convnet"), MNIST, 61_856),
        (LeNet5(name="lenet5"), MNIST, 25 * 20 + 25 * 20 * 50 + 800 * 500 + 500 * 10),
    ],
)
@pytest.mark.parametrize("method", ["fp", "bc", "xnor"])
def test_published_weights(network: Network, method: str, shape: tuple[int, int, int], expected: int) -> None:
    assert weights(meta(network, method, shape)) == expected


def test_mlp_depth() -> None:
    model = meta(MLP(name="mlp", width=16, depth=1), "fp", MNIST)
    assert [(m.in_features, m.out_features) for m in products(model)] == [(784, 16), (16, 10)]


def test_vgg_small_is_the_convnet_with_one_dense_layer() -> None:
    convolutions = [(3, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    norms = 2 * (2 * 128 + 2 * 256 + 2 * 512)
    dense = 512 * 4 * 4 * 10 + 10
    expected = sum(9 * i * o for i, o in convolutions) + norms + dense
    assert round(expected / 1e6, 2) == 4.66  # IR-Net, LQ-Nets
    assert parameters(meta(VGGSmall(name="vgg_small"), "fp", CIFAR)) == expected


# (inputs, outputs, kernel, output side) of XNOR-Net's models/alexnet.lua at 224 pixels
ALEXNET = [
    (3, 96, 11, 55),
    (96, 256, 5, 27),
    (256, 384, 3, 13),
    (384, 384, 3, 13),
    (384, 256, 3, 13),
    (256, 4096, 6, 1),
    (4096, 4096, 1, 1),
    (4096, 1000, 1, 1),
]


@pytest.mark.parametrize(("method", "norms"), [("fp", 0), ("bwn", 0), ("xnor", 96)])
def test_alexnet_parameters(method: str, norms: int) -> None:
    model = meta(AlexNet(name="alexnet"), method, IMAGENET, 1000)
    products = sum(i * o * k * k + o for i, o, k, _ in ALEXNET)
    affine = 2 * (sum(o for _, o, _, _ in ALEXNET[:-1]) + norms)  # XNOR: conv1's output is normed twice
    assert parameters(model) == products + affine
    assert round(parameters(model) / 1e6, 1) == 62.4


def test_alexnet_macs() -> None:
    expected = sum(i * o * k * k * side * side for i, o, k, side in ALEXNET)
    assert expected == 1_135_256_096
    assert macs(meta(AlexNet(name="alexnet"), "xnor", IMAGENET, 1000), IMAGENET) == expected


def test_alexnet_width() -> None:
    half = meta(AlexNet(name="alexnet", width=0.5), "xnor", IMAGENET, 1000)
    assert [m.out_channels for m in products(half)] == [48, 128, 192, 192, 128, 2048, 2048, 1000]
    own = meta(AlexNet(name="alexnet", channels=(7, 6, 5, 4, 3, 2, 1), width=2), "xnor", IMAGENET, 1000)
    assert [m.out_channels for m in products(own)] == [14, 12, 10, 8, 6, 4, 2, 1000]


# Side of the map that fc6 covers: conv1 keeps or divides, then three poolings 3/2.
@pytest.mark.parametrize(("side", "kernel"), [(15, 1), (28, 2), (32, 3), (64, 1), (224, 6), (227, 6)])
def test_fc6_covers_the_map(side: int, kernel: int) -> None:
    model = meta(AlexNet(name="alexnet"), "fp", (3, side, side))
    assert products(model)[5].kernel_size == (kernel, kernel)
    assert model.eval()(torch.empty(1, 3, side, side, device="meta")).shape == (1, 10)


def test_resnet_macs() -> None:
    """torchvision reports 1.814 GMACs for ResNet-18 at 224 and 3.664 for ResNet-34."""
    eighteen = macs(meta(ResNet18(name="resnet18"), "fp", IMAGENET, 1000), IMAGENET)
    thirty_four = macs(meta(ResNet34(name="resnet34"), "fp", IMAGENET, 1000), IMAGENET)
    assert (round(eighteen / 1e9, 3), round(thirty_four / 1e9, 3)) == (1.814, 3.664)


def test_type_a_has_no_shortcut_weights() -> None:
    """Type B at 20 layers adds 16·32 and 32·64 weights and their norms."""
    a = parameters(meta(ResNet20(name="resnet20"), "fp", CIFAR))
    b = parameters(meta(ResNet20(name="resnet20", shortcut="B"), "fp", CIFAR))
    assert b - a == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64


def test_nin_layers() -> None:
    found = [
        (m.in_channels, m.out_channels, m.kernel_size[0])
        for m in products(meta(NIN(name="nin"), "xnor", CIFAR))
    ]
    assert found == [
        (3, 192, 5),
        (192, 160, 1),
        (160, 96, 1),
        (96, 192, 5),
        (192, 192, 1),
        (192, 192, 1),
        (192, 192, 3),
        (192, 192, 1),
        (192, 10, 1),
    ]


def test_resnet18_is_torchvisions() -> None:
    """The same weights in the same order give the same logits."""
    import_torchvision()
    from torchvision.models import resnet18

    theirs = resnet18(num_classes=7).eval()
    ours = build(ResNet18(name="resnet18", stem="imagenet"), METHODS["fp"], (3, 72, 72), 7).eval()
    source, target = theirs.state_dict(), ours.state_dict()
    assert [tuple(t.shape) for t in source.values()] == [tuple(t.shape) for t in target.values()]
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    ours.load_state_dict(dict(zip(target, source.values(), strict=True)))
    x = torch.randn(2, 3, 72, 72, dtype=torch.float64)
    torch.testing.assert_close(ours.double()(x), theirs.double()(x))
