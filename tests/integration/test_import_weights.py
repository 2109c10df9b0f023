"""Weights in the layouts of other repositories: files made here, and the networks that they are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import bnn_train
from bnn_train.cli.eval import main as evaluate
from commands import ROOT
from import_weights import main as import_weights
from make_data import accept, write_cifar10
from tiny_yaml import refused

Capture = pytest.CaptureFixture[str]
LAYOUT = "binarynet_pytorch_vgg"
CHANGED = ("model.width=4", "method.norm.eps=1e-5", "data.normalize=[unit]")
BINARYNET = [
    *("--config", "cifar10/bnn_convnet", "--names", LAYOUT, "--out", "m.safetensors"),
    *(part for setting in CHANGED for part in ("--set", setting)),
]


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def norm(features: int, *, affine: bool = True) -> dict[str, Tensor]:
    draw = {"running_mean": torch.randn(features), "running_var": torch.rand(features) + 0.5}
    return {
        **draw,
        **({"weight": torch.rand(features) + 0.1, "bias": torch.randn(features)} if affine else {}),
    }


def layer(*shape: int) -> dict[str, Tensor]:
    return {"weight": torch.rand(shape) * 2 - 1, "bias": torch.randn(shape[0]) / 10}


def flat(modules: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{name}.{kind}": tensor for name, tensors in modules.items() for kind, tensor in tensors.items()}


CONVS = {0: (4, 3), 3: (4, 4), 7: (8, 4), 10: (8, 8), 14: (16, 8), 17: (16, 16)}
NORMS = {0: 1, 3: 5, 7: 8, 10: 12, 14: 15, 17: 19}
DENSE = {0: (1024, 256), 3: (1024, 1024), 6: (10, 1024)}


def binarynet() -> dict[str, Tensor]:
    """``models/vgg_cifar10_binary.py``, narrow."""
    modules = {f"features.{i}": layer(*sizes, 3, 3) for i, sizes in CONVS.items()}
    modules |= {f"features.{NORMS[i]}": norm(sizes[0]) for i, sizes in CONVS.items()}
    modules |= {f"classifier.{i}": layer(*sizes) for i, sizes in DENSE.items()}
    modules |= {f"classifier.{i + 1}": norm(sizes[0], affine=i < 6) for i, sizes in DENSE.items()}
    return flat(modules)


def normed(x: Tensor, t: dict[str, Tensor], name: str, eps: float) -> Tensor:
    gamma, beta = t.get(f"{name}.weight"), t.get(f"{name}.bias")
    return F.batch_norm(x, t[f"{name}.running_mean"], t[f"{name}.running_var"], gamma, beta, eps=eps)


def test_binarynet_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    t = binarynet()
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in t.items()}}, "net.pth"
    )
    assert import_weights(["net.pth", *BINARYNET]) == 0
    assert f"took {len(t)} tensors" in capsys.readouterr().err
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    for i in CONVS:
        x = x if i == 0 else x.sign()
        x = F.conv2d(x, t[f"features.{i}.weight"].sign(), t[f"features.{i}.bias"], padding=1)
        x = F.max_pool2d(x, 2) if i in (3, 10, 17) else x
        x = normed(x, t, f"features.{NORMS[i]}", 1e-5)
    x = x.flatten(1)
    for i in DENSE:
        x = F.linear(x.sign(), t[f"classifier.{i}.weight"].sign(), t[f"classifier.{i}.bias"])
        x = normed(x, t, f"classifier.{i + 1}", 1e-5)
    loaded = bnn_train.load("m.safetensors")
    assert torch.allclose(torch.from_numpy(loaded(pixels)), x, atol=1e-3)
    write_cifar10(tmp_path / "data")
    accept(monkeypatch, tmp_path / "data", "cifar10")
    assert evaluate(["--checkpoint", "m.safetensors", "--root", "data"]) == 0
    bnn_train.export("m.safetensors", "m.bnn", no_latency=True, parity_data="test")


def test_xnor_net_pytorch(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """``CIFAR_10/models/nin.py``: a norm, signs, a convolution with α·sign and a ReLU, seven times."""
    widths = {3: (192, 160, 1), 4: (160, 96, 1), 6: (96, 192, 5), 7: (192, 192, 1), 8: (192, 192, 1)}
    widths |= {10: (192, 192, 3), 11: (192, 192, 1)}
    modules = {"xnor.0": layer(192, 3, 5, 5), "xnor.1": norm(192, affine=False)}
    for i, (a, b, k) in widths.items():
        modules |= {f"xnor.{i}.bn": norm(a), f"xnor.{i}.conv": layer(b, a, k, k)}
    t = flat({**modules, "xnor.12": norm(192, affine=False), "xnor.13": layer(10, 192, 1, 1)})
    torch.save({"best_acc": 86.28, "state_dict": t}, "nin.pth.tar")
    words = [
        "--config",
        "cifar10/xnor_nin",
        "--set",
        "data.normalize=[unit]",
        "--names",
        "xnor_net_pytorch_nin",
    ]
    assert import_weights(["nin.pth.tar", *words, "--out", "n.safetensors"]) == 0
    assert "missed" in capsys.readouterr().err
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    x = F.relu(normed(F.conv2d(x, t["xnor.0.weight"], t["xnor.0.bias"], padding=2), t, "xnor.1", 1e-4))
    for i, (_, _, k) in widths.items():
        weight = t[f"xnor.{i}.conv.weight"]
        alpha = weight.abs().mean((1, 2, 3), keepdim=True)
        x = normed(x, t, f"xnor.{i}.bn", 1e-4).sign()
        x = F.relu(F.conv2d(x, weight.sign() * alpha, t[f"xnor.{i}.conv.bias"], padding=k // 2))
        if i == 4:
            x = F.max_pool2d(x, 3, 2, 1)
        if i == 8:
            x = F.avg_pool2d(x, 3, 2, 1)
    x = F.conv2d(normed(x, t, "xnor.12", 1e-4), t["xnor.13.weight"], t["xnor.13.bias"])
    loaded = bnn_train.load("n.safetensors")
    found = torch.from_numpy(loaded(pixels))
    assert torch.allclose(found, F.relu(x).mean((2, 3)), atol=1e-2)


def test_a_map_of_ones_own(capsys: Capture) -> None:
    torch.save({f"net.{name}": tensor for name, tensor in binarynet().items()}, "net.pt")
    layout = (ROOT / "scripts/importing/layouts" / f"{LAYOUT}.yaml").read_text(encoding="utf-8")
    lines = [f"net.{line}" for line in layout.splitlines() if not line.startswith("#")]
    Path("names.yaml").write_text("\n".join(lines), encoding="utf-8")
    words = ["names.yaml" if word == LAYOUT else word for word in BINARYNET]
    assert import_weights(["net.pt", *words]) == 0


class Thing:
    """Something that a pickle would have to build."""


def test_files_that_are_refused(capsys: Capture) -> None:
    good = binarynet()
    torch.save({"state_dict": good, "args": Thing()}, "code.pth")
    torch.save({"accuracy": 3}, "empty.pth")
    torch.save({name: t for name, t in good.items() if not name.startswith("features.3.")}, "lost.pth")
    torch.save({**good, "classifier.6.weight": torch.zeros(10, 25)}, "wide.pth")
    Path("text.pth").write_text("not a checkpoint", encoding="utf-8")
    for name, told in (
        ("code.pth", "holds more than tensors"),
        ("empty.pth", "holds no tensors under state_dict"),
        ("lost.pth", "the map of names has features.3, and the file has no such module"),
        ("wide.pth", "linear9.weight is 10×25 there and 10×1024 in this network"),
        ("text.pth", "text.pth: "),
        ("none.pth", "cannot be read"),
    ):
        assert told in refused([name, *BINARYNET], capsys, import_weights), name
    torch.save({name: t for name, t in good.items() if name != "classifier.6.bias"}, "bias.pth")
    assert "has nothing for linear9.bias" in refused(["bias.pth", *BINARYNET], capsys, import_weights)
    words = ["nothing" if word == LAYOUT else word for word in BINARYNET]
    assert "there are binarynet_pytorch_vgg, xnor_net_pytorch_nin" in refused(
        ["bias.pth", *words], capsys, import_weights
    )
