"""torchvision imports in a fresh process, with warnings as errors, and a second call is harmless."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from bnn_train import compat


def test_import_in_a_fresh_process() -> None:
    code = (
        "from bnn_train.compat import import_torchvision as ready\n"
        "ready(); ready()\n"
        "import torch, torchvision\n"
        "from torchvision.transforms.v2.functional import horizontal_flip\n"
        "print(horizontal_flip(torch.tensor([[[1, 2]]])).tolist())"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr, result.returncode) == ("[[[2, 1]]]\n", "", 0)


def test_nothing_is_declared_where_torchvision_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace())
    monkeypatch.setattr(
        compat, "_declare", lambda: pytest.fail("declared operators that a good torchvision has")
    )
    compat.import_torchvision()


def test_declares_both_operators_once(monkeypatch: pytest.MonkeyPatch) -> None:
    declared: list[tuple[str, str]] = []
    monkeypatch.setattr(torch.library, "define", lambda name, schema: declared.append((name, schema)))
    monkeypatch.setattr(torch, "ops", SimpleNamespace(torchvision=SimpleNamespace(nms=object())))
    compat._declare()
    assert declared == [("torchvision::qnms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")]
