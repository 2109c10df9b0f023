"""ReActNet, XNOR-Net++, Real-to-Binary and Group-Net: formulas in numpy, counts, what packs and what does
not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.gate import GatedConv2d
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.config.checks import problems
from bnn_train.config.merge import merge
from bnn_train.config.schema import Experiment
from bnn_train.errors import ExportError
from bnn_train.export.lower import lower
from bnn_train.inspect.layers import layer_table, total
from bnn_train.models.build import build
from bnn_train.models.groups import Average, Mix
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS
from lowering import pair, scramble

W = np.array([[1.0, -0.0, np.nextafter(np.float32(1), 2), -1.0], [-2, 0.5, -0.25, 0.0]], np.float32)


def row(name: str, **axes: Any) -> Method:
    return Method.model_validate(merge(METHODS[name].model_dump(by_alias=True), axes))


def net(
    method: Method, name: str = "resnet20", width: int = 4, shape: tuple[int, int, int] = (1, 8, 8)
) -> Any:
    return build(NETWORKS[name].model_validate({"name": name, "width": width}), method, shape, 3)  # type: ignore[arg-type]  # one of the union


def test_reactnets_weights_lose_their_scale_on_the_way_back() -> None:
    """ŵ = mean|w|·sign(w) and ∂L/∂w = g·1[|w| ≤ 1], at ±0, ±1 and the number above."""
    layer = BinaryLinear(4, 2, bias=False, method="reactnet", role="body")
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(W))
    g = torch.tensor([[3.0, -2, 5, 7], [1, 2, 3, 4]])
    layer.read_weight().backward(g)
    signs = np.where(W < 0, -1, 1)
    expected = np.abs(W).mean(axis=1, keepdims=True) * signs
    np.testing.assert_allclose(layer.read_weight().detach().numpy(), expected, rtol=1e-6)
    assert layer.weight.grad is not None
    np.testing.assert_array_equal(layer.weight.grad.numpy(), g.numpy() * (np.abs(W) <= 1))


def test_reactnet_a_has_the_published_counts() -> None:
    """The authors' module: 29,343,592 parameters, 42,656 of them shifts and slopes."""
    with torch.device("meta"):
        model = build(
            NETWORKS["reactnet_a"].model_validate({"name": "reactnet_a"}),  # type: ignore[arg-type]  # one of the union
            METHODS["reactnet_a"],
            (3, 224, 224),
            1000,
        )
    sums = total(layer_table(model, (3, 224, 224)))
    assert (sums.params_binary, sums.params) == (28_253_184, 29_343_592)
    assert sums.params_real == 1_025_864 + 21_888 + 42_656
    assert (sums.macs_binary, sums.macs_real) == (4_816_896_000, 11_862_016)


CASES: dict[str, tuple[str, ...]] = {
    "channel": ("c",),
    "all": ("chw",),
    "channel_map": ("c", "hw"),
    "channel_row_column": ("c", "h", "w"),
}


@pytest.mark.parametrize("case", CASES)
def test_learned_factors(case: str) -> None:
    """y ⊙ Γ and ∂L/∂γ = Σ over what shares the factor of g·y·(the other factors)."""
    layer = BinaryConv2d(2, 3, 1, bias=False, method=row("xnorpp", output_scale={"over": case}), role="body")
    x = torch.randn(2, 2, 4, 5)
    y = layer(x).detach().numpy()  # factors are 1
    own = dict(layer.output_scale.named_parameters())
    assert tuple(own) == CASES[case]
    sizes, factors = dict(zip("chw", (3, 4, 5), strict=True)), {}
    for name, p in own.items():
        assert tuple(p.shape) == tuple(sizes[axis] for axis in name)
        nn.init.normal_(p)
        factors[name] = p.detach().numpy()
    subscripts = ",".join([*own, "nchw"])
    g = torch.randn(2, 3, 4, 5)
    out = layer(x)
    out.backward(g)
    np.testing.assert_allclose(
        out.detach().numpy(), np.einsum(f"{subscripts}->nchw", *factors.values(), y), rtol=1e-5
    )
    for name, p in own.items():
        others = [key for key in own if key != name]
        expected = np.einsum(
            ",".join([*others, "nchw", "nchw"]) + f"->{name}", *(factors[k] for k in others), y, g.numpy()
        )
        assert p.grad is not None
        np.testing.assert_allclose(p.grad.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_factors_of_places_fix_the_size_of_the_images() -> None:
    model = net(METHODS["xnorpp"])
    assert {name.rpartition(".")[2] for name in model.state_dict() if "output_scale" in name} == set("chw")
    with pytest.raises(RuntimeError, match=r"learned 8 factors \(h\), the output is 4×9×9; images must"):
        model(torch.randn(2, 1, 9, 9))


def test_a_network_has_its_factors_from_the_start_also_without_memory() -> None:
    with torch.device("meta"):
        names = set(net(METHODS["xnorpp"]).state_dict())
    assert names == set(net(METHODS["xnorpp"]).state_dict())
    assert net(METHODS["xnorpp"]).training


def test_the_gate_is_its_formula() -> None:
    conv = BinaryConv2d(16, 6, 3, padding=1, bias=False, method="real_to_binary", role="body")
    gated = GatedConv2d(conv, 8)
    x = torch.randn(2, 16, 5, 5)
    first, second = (p.detach().numpy() for p in gated.gate.parameters())
    assert (first.shape, second.shape) == ((2, 16), (6, 2))
    z = np.maximum(x.numpy().mean(axis=(2, 3)) @ first.T, 0) @ second.T
    expected = conv(x).detach().numpy() * (1 / (1 + np.exp(-z)))[:, :, None, None]
    np.testing.assert_allclose(gated(x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_half_block_of_real_to_binary() -> None:
    """norm → binary convolution → gate → PReLU → + shortcut."""
    block = net(METHODS["real_to_binary"]).get_submodule("stage1.0")
    kinds = [type(module).__name__ for module in block.body]
    assert kinds == ["BatchNorm2d", "GatedConv2d", "PReLU"]
    assert type(block.act).__name__ == "Identity"
    side = net(row("real_to_binary"), "resnet18").get_submodule("stage2.0.shortcut")
    assert next(type(module).__name__ for module in side) == "AvgPool2d"


def test_a_soft_gate_mixes_its_own_stream_with_the_mean() -> None:
    maps = [torch.randn(2, 3, 2, 2) for _ in range(4)]
    mean, mix = Average(4)(*maps), Mix()
    np.testing.assert_allclose(mean.numpy(), np.mean([m.numpy() for m in maps], axis=0), rtol=1e-5, atol=1e-6)
    nn.init.constant_(mix.gate, 0.7)
    share = 1 / (1 + np.exp(-0.7))
    expected = share * maps[1].numpy() + (1 - share) * mean.numpy()
    np.testing.assert_allclose(mix(maps[1], mean).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_group_nets_blocks_are_there_five_times() -> None:
    model = net(METHODS["groupnet"])
    assert [len(group.branches) for group in model.groups.groups] == [5] * 9
    assert [len(group.mixes) for group in model.groups.groups] == [0] + [5] * 8
    kinds = [type(m).__name__ for m in model.groups.groups[1].branches[0][0].body]
    assert kinds == ["BinaryConv2d", "ReLU", "BatchNorm2d"]


def test_tanh_stands_for_the_sign_in_a_first_stage() -> None:
    method = row("bnn", activation={"quantizer": "real_tanh"}, weight={"quantizer": "none"})
    layer = BinaryLinear(4, 2, bias=False, method=method, role="body")
    x = torch.tensor([[-0.0, 1.5, -3, 0.25]], requires_grad=True)
    y = layer(x)
    w = layer.weight.detach().numpy()
    np.testing.assert_allclose(y.detach().numpy(), np.tanh(x.detach().numpy()) @ w.T, rtol=1e-6)
    y.sum().backward()
    assert x.grad is not None
    slope = 1 - np.tanh(x.detach().numpy()) ** 2
    np.testing.assert_allclose(x.grad.numpy(), slope * w.sum(axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (METHODS["xnorpp"], "stage1.0.body.1: output_scale: factored has factors for each place of the map"),
        (row("xnorpp", output_scale={"over": "channel"}, weight={"scale": "l1"}), "with two factors of each"),
        (
            row("dorefa", weight={"scale": "none"}, output_scale={"name": "factored", "over": "channel"}),
            r"\(activation.quantizer and output_scale\).* set activation.quantizer to sign",
        ),
        (row("bnn", activation={"quantizer": "real_tanh"}), "has real activations"),
    ],
)
def test_what_does_not_pack_says_why(method: Method, told: str) -> None:
    with pytest.raises(ExportError, match=told):
        lower(net(method).eval(), (1, 8, 8))


def test_five_branches_pack() -> None:
    """Means and mixes become factors and additions; gates are of all sizes."""
    model = net(METHODS["groupnet"])
    for number, (name, p) in enumerate(model.named_parameters()):
        if name.endswith(".gate"):
            nn.init.constant_(p, (number % 7 - 3) / 2)
    pair(scramble(model, (1, 8, 8)), (1, 8, 8)).gate()


def test_factors_of_channels_pack() -> None:
    model = net(row("xnorpp", output_scale={"over": "channel"}), shape=(3, 8, 8))
    for name, p in model.named_parameters():
        if name.endswith("output_scale.c"):
            nn.init.normal_(p)
    pair(scramble(model, (3, 8, 8)), (3, 8, 8)).gate()


def test_a_binary_first_layer_without_factors_packs() -> None:
    """It reads the real image, so that no output scale is its own."""
    method = row("xnorpp", output_scale={"over": "channel"}, scope={"real": []})
    pair(scramble(net(method, "convnet"), (1, 8, 8)), (1, 8, 8)).gate()


@pytest.mark.parametrize(
    ("name", "network", "learned"),
    [
        ("reactnet", "resnet20", (".before", ".after", ".negative", "pre.shift")),
        ("reactnet_a", "reactnet_a", (".before", ".after", ".negative", "pre.shift")),
        ("real_to_binary", "resnet20", (".negative", ".gate.2.weight", ".gate.4.weight")),
    ],
)
def test_rows_pack_with_learned_numbers_of_either_sign(
    name: str, network: str, learned: tuple[str, ...]
) -> None:
    model = net(METHODS[name], network, shape=(3, 8, 8))
    draw = torch.Generator().manual_seed(1)
    for ending in learned:
        moved = [p for key, p in model.named_parameters() if key.endswith(ending)]
        assert moved, ending
        for p in moved:
            nn.init.normal_(p, generator=draw)
    pair(scramble(model, (3, 8, 8)), (3, 8, 8)).gate()


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"method": {"name": "bwn", "output_scale": "factored"}}, "output_scale: factored has no effect"),
        ({"method": {"name": "bwn", "output_scale": "gate"}}, "output_scale: gate has no effect"),
        ({"loss": {"name": "cross_entropy", "base_weight": 0.0}}, "base_weight: of 0 leaves nothing"),
    ],
)
def test_refused_configs(sections: dict[str, Any], told: str) -> None:
    plain = {
        "method": "bnn",
        "model": "resnet20",
        "data": "cifar10",
        "optimizer": "adam",
        "loss": "cross_entropy",
    }
    found = problems(Experiment.model_validate(merge(plain, sections)))
    assert [text for path, text in found if f"{path[-1]}: {text}".startswith(told)]
