"""The order of the modules in each network, and where the roles stand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.models.build import build
from bnn_train.models.resnet import PadShortcut, Residual
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import (
    MLP,
    NIN,
    AlexNet,
    ConvNet,
    Extraction,
    LeNet5,
    Network,
    ResNet18,
    ResNet20,
    VGGSmall,
)

CIFAR = (3, 32, 32)
LETTERS: tuple[tuple[type[nn.Module], str], ...] = (
    (BinaryConv2d, "b"),
    (BinaryLinear, "f"),
    (nn.Conv2d, "C"),
    (nn.Linear, "F"),
    (nn.BatchNorm2d, "N"),
    (nn.BatchNorm1d, "n"),
    (nn.ReLU, "R"),
    (nn.Hardtanh, "H"),
    (nn.MaxPool2d, "M"),
    (nn.AdaptiveAvgPool2d, "G"),
    (nn.AvgPool2d, "A"),
    (nn.Flatten, "-"),
    (nn.Dropout2d, "S"),
    (nn.Dropout, "D"),
)


def meta(network: Network, method: str, shape: tuple[int, int, int] = CIFAR, classes: int = 10) -> nn.Module:
    with torch.device("meta"):
        return build(network, METHODS[method], shape, classes)


def spelled(module: nn.Module) -> str:
    """The leaves in order, a letter each; a binary layer quantizes its own input."""
    leaves = (m for m in module.modules() if not list(m.children()))
    return "".join(next((x for cls, x in LETTERS if isinstance(m, cls)), "") for m in leaves)


def test_xnor_alexnet_is_the_papers() -> None:
    """models/alexnetxnor.lua, block by block."""
    model = meta(AlexNet(name="alexnet"), "xnor", (3, 224, 224), 1000)
    assert spelled(model) == "CNRM" + "NbM" + "Nb" + "Nb" + "NbM" + "Nb" + "Nb" + "NRC" + "-"


def test_bwn_alexnet_is_the_papers() -> None:
    """models/alexnet.lua: conv-BN-ReLU-pool, channel dropout before fc6 and fc7."""
    model = meta(AlexNet(name="alexnet", dropout=0.1), "bwn", (3, 224, 224), 1000)
    assert spelled(model) == "CNRM" + "bNRM" + "bNR" * 2 + "bNRM" + "SbNR" * 2 + "C-"


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("bc", "bNR" + "bMNR" + "bNR" + "bMNR" + "bNR" + "bMNR" + "-" + "fnR" * 2 + "fn"),
        ("bnn", "bN" + "bMN" + "bN" + "bMN" + "bN" + "bMN" + "-" + "fn" * 3),
        ("fp", "CNR" + "CNRM" + "CNR" + "CNRM" + "CNR" + "CNRM" + "-" + "FnR" * 2 + "F"),
    ],
)
def test_convnet_order(method: str, expected: str) -> None:
    """BC and BNN pool the convolution's output, before the norm, and normalize the logits."""
    assert spelled(meta(ConvNet(name="convnet"), method)) == expected


def test_other_chains() -> None:
    assert spelled(meta(VGGSmall(name="vgg_small"), "fp")) == "CNRCNRM" * 3 + "-F"
    assert spelled(meta(LeNet5(name="lenet5"), "xnor", (1, 28, 28))) == "CNRMNbMN-fnRF"
    assert spelled(meta(MLP(name="mlp", dropout_input=0.2, dropout=0.5), "bc")) == "-DfnRDfnRDfnRDfn"
    assert spelled(meta(NIN(name="nin"), "xnor")) == "CNR" + "NbNbM" + "NbNbNbA" + "NbNb" + "NRCRG-"


def test_bnn_mlp_drops_after_the_sign() -> None:
    model = meta(MLP(name="mlp", dropout_input=0.2, dropout=0.5), "bnn", (1, 28, 28))
    assert spelled(model) == "-Dfnfnfnfn"
    assert [m.dropout for m in model.modules() if isinstance(m, BinaryLinear)] == [0.0, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize(
    ("method", "stem", "plain", "side", "head"),
    [
        ("fp", "CNR", ["CNRCNR"], "CN", "G-F"),
        ("bwn", "CNR", ["bNRbNR"], "bN", "G-F"),
        ("bnn", "bNH", ["bNbNH"], "bN", "G-nfn"),
        ("bc", "bNR", ["bNRbNR"], "bN", "G-fn"),
        ("xnor", "CNR", ["NbNb"], "Nb", "NRG-F"),
        ("dorefa", "CNR", ["bNbNR"], "CN", "G-F"),
        ("bireal", "CN", ["bN", "bN"], "ACN", "G-F"),
    ],
)
def test_residual_block(
    method: str, stem: str, plain: list[str], side: str, head: str, shortcut: Any
) -> None:
    """One block for every method; Bi-Real Net's has a shortcut around each convolution."""
    model: Any = meta(ResNet20(name="resnet20", shortcut=shortcut), method)
    assert spelled(model.stem) == stem
    assert spelled(model.head) == head
    assert [spelled(m) for m in model.stage1] == plain * 3
    wide = model.stage2[0]
    assert isinstance(wide, Residual)
    assert isinstance(wide.shortcut, PadShortcut) == (shortcut == "A")
    assert spelled(wide.shortcut) == ("" if shortcut == "A" else side)


def test_imagenet_stem() -> None:
    plain, imagenet = ResNet18(name="resnet18"), ResNet18(name="resnet18", stem="imagenet")
    assert spelled(meta(plain, "xnor", (3, 64, 64)).get_submodule("stem")) == "CNRM"
    assert spelled(meta(plain, "xnor", (3, 63, 63)).get_submodule("stem")) == "CNR"
    assert spelled(meta(imagenet, "bireal").get_submodule("stem")) == "CNM"


@pytest.mark.parametrize(
    ("network", "roles"),
    [
        (MLP(name="mlp"), {"body": 2}),
        (LeNet5(name="lenet5"), {"body": 2}),
        (ConvNet(name="convnet"), {"body": 7}),
        (VGGSmall(name="vgg_small"), {"body": 5}),
        (NIN(name="nin"), {"body": 7}),
        (AlexNet(name="alexnet"), {"body": 6}),
        (Extraction(name="extraction"), {"body": 19}),
        (ResNet18(name="resnet18"), {"body": 16, "downsample": 3}),
        (ResNet18(name="resnet18", shortcut="A"), {"body": 16}),
        (ResNet20(name="resnet20"), {"body": 18}),
    ],
)
@pytest.mark.parametrize("method", ["fp", "bnn", "xnor", "bireal"])
def test_roles(network: Network, roles: dict[str, int], method: str) -> None:
    model = meta(network, method)
    found: list[Any] = [m.role for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert Counter(found) == {"first": 1, "last": 1, **roles}
    assert (found[0], found[-1]) == ("first", "last")
    real = set(METHODS[method].scope.real)
    binary = METHODS[method].weight.quantizer.quantizes
    for m in model.modules():
        if isinstance(m, nn.Conv2d | nn.Linear):
            assert isinstance(m, BinaryConv2d | BinaryLinear) == (binary and m.role not in real)


@pytest.mark.parametrize(
    "network",
    [
        LeNet5(name="lenet5"),
        NIN(name="nin", dropout=0.0),
        AlexNet(name="alexnet", width=0.05),
        ResNet20(name="resnet20"),
    ],
)
def test_xnor_feeds_every_sign_from_a_norm(network: Network) -> None:
    """Each binary layer reads exactly the output of a batch norm (flattened at most)."""
    model = build(network, METHODS["xnor"], CIFAR, 10)
    normed: list[torch.Tensor] = []
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d):
            m.register_forward_hook(lambda _, __, y: normed.append(y))
        if isinstance(m, BinaryConv2d | BinaryLinear):
            m.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    seen: list[torch.Tensor] = []
    model(torch.randn(2, *CIFAR))
    assert seen
    for x in seen:
        assert any(x.data_ptr() == y.data_ptr() and x.numel() == y.numel() for y in normed)
