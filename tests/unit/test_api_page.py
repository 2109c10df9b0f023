"""``bnn_train/API.md`` followed block by block."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import bnn_train
from tables_restored import restored

PAGE = Path(bnn_train.__file__).with_name("API.md")


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    with restored():
        for block in blocks():
            exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)
    assert names["run"].top1 > 70
    assert names["mine"].top1 > 70
    assert names["mine"].path == Path("runs/halves/bnn_l1_small")
    assert float(names["loss"].detach()) > 0
    layer = names["net"][3]
    assert layer.role == "body"
    assert float(layer.weight.detach().abs().max()) <= 1


def test_its_module_trains_under_lightning() -> None:
    lightning = pytest.importorskip("lightning", reason="Lightning is not installed")
    source = next(block for block in blocks() if block.startswith("class Lit"))
    source = source.replace("class Lit:", "class Lit(lightning.LightningModule):")
    names: dict[str, Any] = {"lightning": lightning, "nn": torch.nn, "torch": torch, "bnn_train": bnn_train}
    exec(compile(source, str(PAGE), "exec", dont_inherit=True), names)
    layers = (torch.nn.Linear(64, 32), torch.nn.BatchNorm1d(32), torch.nn.Linear(32, 10))
    net = bnn_train.binarize(torch.nn.Sequential(torch.nn.Flatten(), *layers), "bnn")
    for parameter in net.parameters():
        parameter.data.mul_(50)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.randn(32, 1, 8, 8), torch.arange(32) % 10), batch_size=16
    )
    trainer = lightning.Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
    )
    trainer.fit(names["Lit"](net), loader)
    assert all(float(layer.weight.detach().abs().max()) <= 1 for _, layer in bnn_train.binary_layers(net))
