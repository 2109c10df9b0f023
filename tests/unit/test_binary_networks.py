"""ResNetE, BinaryDenseNet, MeliusNet and QuickNet: published counts, and each block against its formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from binary_networks import SMALLEST, made
from bnn_train.binary.layers import BinaryLayer
from bnn_train.errors import BnnError
from bnn_train.inspect.layers import layer_table, total
from bnn_train.models.build import build
from bnn_train.models.quicknet import Blur
from bnn_train.spec.methods import METHODS

IMAGENET = (3, 224, 224)
OWN = {"r": "resnete18", "b": "binarydensenet28", "m": "meliusnet22", "q": "quicknet"}

# method-zoo's tables: binary weights, real weights (blur and biases too), γ and β; binary and real MACs.
COUNTS: list[tuple[str, dict[str, Any], tuple[int, int, int], tuple[int, int]]] = [
    ("quicknet", {"size": "small"}, (11_980_800, 666_216, 8_656), (1_156_055_040, 15_941_120)),
    ("quicknet", {}, (12_533_760, 690_664, 9_632), (1_849_688_064, 29_651_712)),
    ("quicknet", {"size": "large"}, (22_634_496, 690_664, 17_056), (3_699_376_128, 29_651_712)),
    ("binarydensenet28", {}, (4_202_496, 909_992, 19_008), (3_587_383_296, 202_484_224)),
    ("binarydensenet37", {}, (7_593_984, 1_076_392, 31_872), (4_506_808_320, 199_738_368)),
    ("binarydensenet45", {}, (12_349_440, 1_490_344, 49_728), (6_430_556_160, 244_103_424)),
    ("resnete18", {}, (10_985_472, 694_440, 9_728), (1_676_279_808, 137_793_536)),
    ("resnete34", {}, (21_086_208, 694_440, 17_152), (3_525_967_872, 137_793_536)),
    ("meliusnet22", {}, (6_119_424, 800_072, 25_088), (4_624_220_160, 136_388_608)),
]

# MiB, and HPI's operations in 10⁸: binary MACs/64 and real ones without the classifier.
SIZES: list[tuple[str, dict[str, Any], float, float | None]] = [
    ("quicknet", {"size": "small"}, 4.00, None),
    ("quicknet", {}, 4.17, None),
    ("quicknet", {"size": "large"}, 5.40, None),
    ("binarydensenet28", {}, 4.04, 2.58),
    ("binarydensenet37", {}, 5.13, 2.70),
    ("binarydensenet45", {}, 7.35, None),
    ("resnete18", {}, 4.00, 1.63),
    ("resnete34", {}, 5.23, 1.92),
    ("meliusnet22", {}, 3.88, 2.08),
    ("meliusnet22", {"stem": "imagenet"}, 3.89, 2.58),
    ("meliusnet29", {}, 5.07, 2.14),
    ("meliusnet42", {}, 10.10, 3.25),
    ("meliusnet59", {}, 17.39, 5.32),
    ("resnete18", {"stem": "grouped"}, 3.98, 1.14),
    ("resnete34", {"stem": "grouped"}, 5.21, 1.43),
    ("binarydensenet28", {"stem": "grouped"}, 4.03, 2.09),
    ("binarydensenet37", {"stem": "grouped"}, 5.12, 2.20),
]


def counted(name: str, options: dict[str, Any]) -> tuple[int, int, int, int, int, int]:
    """Binary weights, real ones, γ and β, binary and real MACs, MACs of the last layer."""
    with torch.device("meta"):
        model = build(made(name, **options), METHODS[OWN[name[0]]], IMAGENET, 1000)
    rows = layer_table(model, IMAGENET)
    sums = total(rows)
    norms = sum(p.numel() for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    last = sum(row.macs for row in rows if row.role == "last")
    assert sums.macs_mixed == 0
    return sums.params_binary, sums.params_real - norms, norms, sums.macs_binary, sums.macs_real, last


@pytest.mark.parametrize(("name", "options", "parameters", "macs"), COUNTS, ids=str)
def test_published_counts(
    name: str, options: dict[str, Any], parameters: tuple[int, int, int], macs: tuple[int, int]
) -> None:
    *found, binary, real, _ = counted(name, options)
    assert (tuple(found), (binary, real)) == (parameters, macs)


@pytest.mark.parametrize(("name", "options", "mebibytes", "operations"), SIZES, ids=str)
def test_published_sizes(
    name: str, options: dict[str, Any], mebibytes: float, operations: float | None
) -> None:
    bits, real, norms, binary, macs, last = counted(name, options)
    assert round((bits / 8 + 4 * (real + norms)) / 2**20, 2) == mebibytes
    if operations is not None:
        assert round((binary / 64 + macs - last) / 1e8, 2) == operations


def fresh(name: str, side: int = 8, **options: Any) -> Any:
    """A network in float64 that evaluates with norms away from their start."""
    torch.manual_seed(0)
    model = build(made(name, **options), METHODS[OWN[name[0]]], (3, side, side), 5).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_()
            if module.affine:
                nn.init.uniform_(module.weight, -1, 1)
                nn.init.normal_(module.bias)
    return model.eval()


def signs(x: Tensor) -> Tensor:
    return torch.where(x < 0, -1.0, 1.0).to(x.dtype)


def product(layer: Any, x: Tensor, *, pad: float = 0.0) -> Tensor:
    """Signs times signs without a factor, 3×3."""
    return F.conv2d(F.pad(signs(x), (1, 1, 1, 1), value=pad), signs(layer.weight), stride=layer.stride)


def test_resnete_block() -> None:
    """x + norm(conv(sign x)); where widths differ norm(conv1×1(mean of 2×2)) stands for x."""
    model = fresh("resnete18", width=4)
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    same, wide = model.stage1[0], model.stage2[0]
    conv, norm = same.body
    torch.testing.assert_close(same(x), x + norm(product(conv, x)))
    pool, side, normed = wide.shortcut
    assert (pool.kernel_size, side.kernel_size, isinstance(side, BinaryLayer)) == (2, (1, 1), False)
    conv, norm = wide.body
    torch.testing.assert_close(wide(x), normed(side(pool(x))) + norm(product(conv, x)))


def test_dense_and_improvement_blocks() -> None:
    """The dense block appends, the improvement block adds to what was appended."""
    model = fresh("meliusnet22", width=4)
    dense, improvement = model.stage1[:2]
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    norm, conv = dense.body
    wide = torch.cat([x, product(conv, norm(x))], dim=1)
    torch.testing.assert_close(dense(x), wide)
    norm, conv = improvement.body
    added = F.pad(product(conv, norm(wide)), (0, 0, 0, 0, 4, 0))  # zeros for the first channels
    torch.testing.assert_close(improvement(wide), wide + added)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("binarydensenet28", [160, 192, 256, 576]),
        ("binarydensenet37", [128, 192, 256, 640]),
        ("binarydensenet45", [160, 288, 288, 800]),
        ("meliusnet22", [160, 224, 256, 512]),
    ],
)
def test_channels_behind_transitions_and_at_the_end(name: str, kept: list[int]) -> None:
    with torch.device("meta"):
        model: Any = build(made(name), METHODS["fp"], (3, 32, 32), 10)
    narrowed = [model.get_submodule(f"transition{i}")[-1].out_channels for i in (1, 2, 3)]
    assert [*narrowed, model.head[-1].in_features] == kept


def test_a_transition_is_norm_maximum_relu_convolution() -> None:
    kinds = [type(m) for m in fresh("binarydensenet28", width=4).transition1]
    assert kinds == [nn.BatchNorm2d, nn.MaxPool2d, nn.ReLU, nn.Conv2d]


def test_quicknet_block_and_transition() -> None:
    """x + norm(ReLU(conv(sign x))), +1 around the map; ReLU, maximum at stride 1, blur, 1×1, norm."""
    model = fresh("quicknet", width=8)
    x = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    block: Any = model.section1[0]
    conv, _, norm = block.body
    torch.testing.assert_close(block(x), x + norm(F.relu(product(conv, x, pad=1.0))))
    *_, blur, side, normed = model.transition1
    line = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)
    smooth = F.conv2d(
        F.max_pool2d(F.relu(x), 2, 1), line.outer(line).expand(8, 1, 3, 3) / 16, None, 2, 1, 1, 8
    )
    torch.testing.assert_close(blur(F.max_pool2d(F.relu(x), 2, 1)), smooth)
    torch.testing.assert_close(model.transition1(x), normed(side(smooth)))


def test_quicknets_stem_has_keras_norms_one_of_them_without_affine() -> None:
    stem = fresh("quicknet", side=224, width=16).stem
    norms = [m for m in stem if isinstance(m, nn.BatchNorm2d)]
    assert [(m.eps, m.momentum, m.affine) for m in norms] == [
        (1e-3, 0.01, True),
        (1e-3, 0.01, False),
        (1e-3, 0.01, True),
    ]
    assert [m.groups for m in stem if isinstance(m, nn.Conv2d)] == [1, 4, 1]


@pytest.mark.parametrize(("side", "kinds"), [(49, 1), (50, 4)])
def test_small_images_have_a_single_convolution_for_a_stem(side: int, kinds: int) -> None:
    with torch.device("meta"):
        assert len(build(made("binarydensenet28"), METHODS["fp"], (3, side, side), 5).stem) == kinds  # type: ignore[arg-type]


def test_a_blur_does_not_learn() -> None:
    model = fresh("quicknet", width=8)
    blurs = [m for m in model.modules() if isinstance(m, Blur)]
    assert len(blurs) == 3
    assert not any(m.weight.requires_grad for m in blurs)
    assert float(blurs[0].weight.sum()) == 8 * 1.0


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (made("meliusnet22", width=24), "needs a width that 16 divides, not 24"),
        (made("quicknet", width=10), "4 to divide its 10 channels"),
    ],
)
def test_a_width_that_groups_do_not_divide(network: Any, told: str) -> None:
    with pytest.raises(BnnError, match=told):
        build(network, METHODS["fp"], (3, 64, 64), 5)


@pytest.mark.parametrize(("network", "shape"), SMALLEST, ids=lambda x: getattr(x, "name", ""))
def test_their_binary_layers_are_the_body(network: Any, shape: tuple[int, int, int]) -> None:
    model = build(network, METHODS[OWN[network.name[0]]], shape, 5)
    roles = {m.role for m in model.modules() if isinstance(m, BinaryLayer)}
    assert roles == {"body"}
