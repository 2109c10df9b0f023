"""The layer table against counts made by hand from the layers' definitions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.factory import Layers
from bnn_train.inspect.layers import LayerRow, format_layers, layer_table, total
from bnn_train.spec.methods import METHODS


class Net(nn.Module):
    """conv 3→8 3×3 on 6×6 · norm · conv 8→12 3×3 stride 2 · dense 108→5, with a spare parameter."""

    def __init__(self, method: str) -> None:
        super().__init__()
        layers = Layers(METHODS[method])
        self.conv1 = layers.conv("first", 3, 8, 3, padding=1)
        self.norm = layers.norm2d(8)
        self.conv2 = layers.conv("body", 8, 12, 3, stride=2, padding=1, bias=True)
        self.fc = layers.linear("last", 108, 5)
        self.scale = nn.PReLU(7)  # never called

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(self.conv2(self.norm(self.conv1(x))).flatten(1))
        return y


def rows(method: str) -> dict[str, LayerRow]:
    return {row.name: row for row in layer_table(Net(method), (3, 6, 6))}


CONV1, CONV2, FC = 8 * 36 * 27, 12 * 9 * 72, 5 * 108


def test_shapes_kinds_and_roles() -> None:
    table = rows("xnor")
    assert list(table) == ["conv1", "norm", "conv2", "fc", "scale"]
    assert [row.output for row in table.values()] == [(8, 6, 6), (8, 6, 6), (12, 3, 3), (5,), None]
    assert [row.kind for row in table.values()] == [
        "Conv2d",
        "BatchNorm2d",
        "BinaryConv2d",
        "Linear",
        "PReLU",
    ]
    assert [row.role for row in table.values()] == ["first", None, "body", "last", None]


@pytest.mark.parametrize(
    ("method", "binary", "mixed", "real"),
    [
        ("fp", 0, 0, CONV1 + CONV2 + FC),
        ("bc", 0, CONV1 + CONV2 + FC, 0),
        ("bnn", CONV2 + FC, CONV1, 0),
        ("bwn", 0, CONV2, CONV1 + FC),
        ("xnor", CONV2, 0, CONV1 + FC),
        ("xnor_k", CONV2, 0, CONV1 + FC),
        ("twn", 0, CONV1 + CONV2 + FC, 0),
        ("dorefa", CONV2, 0, CONV1 + FC),
        ("bop", CONV2 + FC, CONV1, 0),
        ("bc_stochastic", 0, 0, CONV1 + CONV2 + FC),  # tested with its latent weights
    ],
)
def test_macs_by_arithmetic(method: str, binary: int, mixed: int, real: int) -> None:
    result = total(list(rows(method).values()))
    assert (result.macs_binary, result.macs_mixed, result.macs_real) == (binary, mixed, real)


@pytest.mark.parametrize("method", METHODS)
def test_every_parameter_is_counted_once(method: str) -> None:
    net = Net(method)
    assert total(layer_table(net, (3, 6, 6))).params == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("method", "bits", "scales"), [("bnn", 1, 0), ("xnor", 1, 12), ("dorefa", 1, 1), ("twn", 2, 12)]
)
def test_bytes_of_a_quantized_layer(method: str, bits: int, scales: int) -> None:
    row = rows(method)["conv2"]
    assert (row.bits, row.params_binary, row.params_real) == (bits, 12 * 72, 12)
    assert row.bytes == 12 * (72 * bits // 8) + 4 * scales + 4 * 12
    assert row.bytes_real == 4 * (12 * 72 + 12)


def test_a_filter_takes_whole_bytes() -> None:
    assert rows("bnn")["fc"].bytes == 5 * 14 + 4 * 5  # 108 bits → 14 bytes
    assert rows("twn")["conv1"].bytes == 8 * 7 + 4 * 8  # 54 bits → 7 bytes, and an α


def test_bytes_of_real_layers_and_norms() -> None:
    table = rows("xnor")
    assert table["norm"].bytes == 4 * 4 * 8  # γ, β, mean, variance
    assert table["norm"].params_real == 16
    assert table["conv1"].bytes == table["conv1"].bytes_real == 4 * 8 * 27


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_alone(method: str) -> None:
    net = Net(method).train()
    net.norm.eval()
    layer_table(net, (3, 6, 6))  # factors of places take the size of the first map that they see
    before = {name: t.clone() for name, t in net.state_dict().items()}
    random = torch.get_rng_state()
    layer_table(net, (3, 6, 6))
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())
    assert net.training
    assert net.conv1.training
    assert not net.norm.training
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize("method", METHODS)
def test_on_the_meta_device_too(method: str) -> None:
    with torch.device("meta"):
        net = Net(method)
    assert layer_table(net, (3, 6, 6)) == list(rows(method).values())


def test_shared_weights_are_stored_once_and_computed_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.b(self.a(self.a(x.flatten(1))))
            return y

    a, b = layer_table(Twice(), (1, 2, 2))
    assert (a.params, a.macs, a.bytes) == (16, 32, 64)
    assert (b.params, b.macs, b.bytes) == (0, 16, 0)


def test_the_printed_table() -> None:
    table = layer_table(Net("xnor"), (3, 6, 6))
    lines = format_layers(table).splitlines()
    assert lines[0].split() == [
        "layer",
        "kind",
        "role",
        "output",
        "1-bit",
        "real",
        "MACs",
        "product",
        "bytes",
    ]
    ends = {lines[i].index(word) + len(word) for i, word in ((0, "MACs"), (2, "7,776"), (4, "7,776"))}
    assert len(ends) == 1  # numbers end under their heading
    assert lines[4].split() == [
        "conv2",
        "BinaryConv2d",
        "body",
        "12×3×3",
        "864",
        "12",
        "7,776",
        "binary",
        "204",
    ]
    everything = total(table)
    sums = next(line for line in lines if line.startswith("total")).split()
    assert sums == ["total", "864", "796", "16,092", f"{everything.bytes:,}"]
    text = "\n".join(lines)
    assert "parameters  1,660: 864 of 1 bit, 796 real" in text
    assert f"{100 * 7776 / 16092:.2f} % binary, 0.00 % mixed, {100 * 8316 / 16092:.2f} % real" in text
    # conv1 864, norm 128, conv2 108 + 48 + 48, fc 2180, spare 28 bytes
    assert f"bytes       3,404, packed; 6,704 in 32 bits: {6704 / 3404:.1f} times smaller" in text


def test_the_printed_table_of_a_ternary_network() -> None:
    text = format_layers(layer_table(Net("twn"), (3, 6, 6)))
    assert text.split()[4] == "2-bit"
    assert "of 2 bit" in text


def test_activation_memory_by_hand() -> None:
    found = rows("xnor")
    expected = {"conv1": 432 + 1152, "norm": 2 * 1152, "conv2": 288 // 8 + 432, "fc": 432 + 20, "scale": 0}
    assert {name: row.activations for name, row in found.items()} == expected
    assert total(list(found.values())).activations == 2304
