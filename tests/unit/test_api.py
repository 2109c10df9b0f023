"""The names of ``bnn_train``: imported lazily, typed, and what the commands do."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import bnn_train
from bnn_train import BnnError, binarize, binary_layers, build_model, enforce
from bnn_train.spec.method import Role
from commands import ENVIRONMENT, PATIENCE_S, ROOT
from tiny import tiny

LAZY = """
import sys, bnn_train
from bnn_train import METHODS, Experiment, register_method
assert "xnor" in METHODS and "export" in dir(bnn_train)
print(sorted({"torch", "torchvision"} & sys.modules.keys()))
"""


def test_a_name_costs_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LAZY],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_the_stub_names_what_there_is() -> None:
    stub = ast.parse(Path(bnn_train.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    named = {alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == {*bnn_train.__all__} - {"__version__"}
    assert all(callable(getattr(bnn_train, name)) for name in named - {"METHODS"})
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        bnn_train.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_export_is_a_function_and_a_package(tmp_path: Path) -> None:
    from bnn_train.export import run

    assert run.Export.__module__ == "bnn_train.export.run"
    with pytest.raises(BnnError, match="no such run or checkpoint"):
        bnn_train.export(tmp_path / "none", tmp_path / "m.bnn")
    with pytest.raises(BnnError, match=r"unrecognized arguments: --colour red"):
        bnn_train.export(tmp_path / "none", tmp_path / "m.bnn", colour="red")


def test_from_training_to_a_packed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = bnn_train.train(tiny(tmp_path / "run"))
    assert ended.report == json.loads((ended.path / "report.json").read_text(encoding="utf-8"))
    found = bnn_train.evaluate(ended.path)
    assert found.top1 == ended.top1
    bnn_train.export(ended.path, "m.bnn", no_latency=True)
    assert bnn_train.evaluate("m.bnn", kernel="reference").top1_correct == found.top1_correct
    trained, packed = bnn_train.load(ended.path), bnn_train.load("m.bnn")
    assert isinstance(trained, bnn_train.Trained)
    height, width = trained.shape[1:]
    pixels = np.random.default_rng(0).integers(0, 256, (9, height, width, trained.shape[0]), dtype=np.uint8)
    assert np.allclose(trained(pixels), packed(pixels), atol=1e-3)
    with pytest.raises(BnnError, match="images must be uint8 N×"):
        trained(pixels.astype(np.float32))
    with pytest.raises(BnnError, match="holds an earlier run"):
        bnn_train.train(tiny(tmp_path / "run"))


def test_experiments_from_everything() -> None:
    named = bnn_train.experiment("quickstart", {"training.epochs": 3, "model.width": 32, "method": "xnor"})
    assert (named.training.epochs, named.method.name) == (3, "xnor")
    assert bnn_train.experiment(named) is named
    assert bnn_train.experiment(named, ["seed=5"]).seed == 5
    assert bnn_train.experiment(settings=["method=bnn", "model=mlp", "data=digits"]).data.name == "digits"
    with pytest.raises(BnnError, match="unknown key"):
        bnn_train.experiment("quickstart", {"trainig": 1})


def test_a_network_alone() -> None:
    net = build_model({"name": "resnet20", "width": 4}, "bireal", shape=(3, 32, 32), classes=7)
    assert net.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    method = bnn_train.METHODS["bnn"].model_copy(update={"name": "unregistered"})
    assert build_model("mlp", method, shape=(1, 8, 8), classes=3)(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    with pytest.raises(BnnError, match="unknown network 'resnet21'"):
        build_model("resnet21", "bnn", shape=(3, 32, 32), classes=7)


# ---------------------------------------------------------------------------------- binarize


class Plain(nn.Module):
    """A network as people write them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.ModuleDict(
            {
                "conv": nn.Conv2d(8, 8, 3, padding="same", padding_mode="reflect", bias=False),
                "down": nn.Conv2d(8, 8, 1, groups=2),
            }
        )
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        features: Tensor = (self.block["conv"](x) + self.block["down"](x)).mean((2, 3))
        return self.head(features)  # type: ignore[no-any-return]  # modules return Any


def roles(net: nn.Module) -> dict[str, str]:
    return {name: layer.role for name, layer in binary_layers(net)}


@pytest.mark.parametrize("method", ["bc", "bnn", "xnor", "bireal", "dorefa", "cbcn", "abcnet", "reactnet"])
def test_somebodys_network_becomes_binary(method: str) -> None:
    plain = Plain()
    net = binarize(deepcopy(plain), method, roles={"block.down": "downsample"}, shape=(3, 8, 8))
    row = bnn_train.METHODS[method]
    named: dict[str, Role] = {
        "stem.0": "first",
        "block.conv": "body",
        "block.down": "downsample",
        "head": "last",
    }
    assert roles(net) == {name: role for name, role in named.items() if row.binarizes(role)}
    loss = nn.functional.cross_entropy(net(torch.randn(6, 3, 8, 8)), torch.arange(6) % 5)
    loss.backward()
    assert all(layer.weight.grad is not None for _, layer in binary_layers(net))


def test_weights_are_kept_or_drawn() -> None:
    plain = Plain()
    kept, drawn = (binarize(deepcopy(plain), "bnn", keep_weights=keep) for keep in (True, False))
    name = "block.conv.weight"
    assert torch.equal(kept.state_dict()[name], plain.state_dict()[name].clamp(-1, 1))
    assert not torch.equal(drawn.state_dict()[name], plain.state_dict()[name])


def test_relus_go_where_signs_are_the_nonlinearity() -> None:
    def relus(net: nn.Module) -> int:
        return sum(isinstance(module, nn.ReLU) for module in net.modules())

    assert relus(binarize(Plain(), "bnn")) == 0
    assert relus(binarize(Plain(), "bnn", keep_relu=True)) == 1
    assert relus(binarize(Plain(), "bc")) == 1


def test_a_layer_may_be_left_alone() -> None:
    net = binarize(Plain(), "bnn", roles={"head": None, "stem.*": None})
    assert sorted(roles(net)) == ["block.conv", "block.down"]
    assert type(net.head) is nn.Linear


def test_latent_rules_hold_after_a_step() -> None:
    net = binarize(Plain(), "bnn")
    for parameter in net.parameters():
        parameter.data.mul_(100)
    enforce(net)
    assert max(float(layer.weight.detach().abs().max()) for _, layer in binary_layers(net)) == 1


def test_what_binarize_refuses() -> None:
    with pytest.raises(ValueError, match=r"no layer is named 'haed'; there are stem\.0, block\.conv"):
        binarize(Plain(), "bnn", roles={"haed": None})
    with pytest.raises(ValueError, match="method 'xnr' does not exist; did you mean 'xnor'"):
        binarize(Plain(), "xnr")
    with pytest.raises(ValueError, match="role must be one of"):
        binarize(Plain(), "bnn", roles={"head": "middle"})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="a single layer"):
        binarize(nn.Linear(3, 2), "bnn")
