"""Every test runs on one thread, or on BNN_TEST_THREADS, and from the same seeds, whatever ran before it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.factory import Layers
from bnn_train.models import resnet
from bnn_train.report.versions import git_revision
from side_by_side import pytest_addoption, pytest_configure

__all__ = ["pytest_addoption", "pytest_configure"]

torch.set_num_threads(int(os.environ.get("BNN_TEST_THREADS", "1")))


@pytest.fixture(scope="session", autouse=True)
def _unwaited() -> Iterator[None]:
    """A sync in this process only asks whether the file is open, as no test cuts the power; the revision of
    the checkout is asked for once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        patch.setattr("bnn_train.training.manifest.git_revision", cache(git_revision))
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(0)
    np.random.seed(0)  # libraries under test may use the global state
    torch.default_generator.manual_seed(0)  # torch.manual_seed takes 0.6 ms to note its caller
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(0)


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, so that default run folders stay out of the working tree."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shallow_resnets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Residual networks of one block a stage, for tests in which the further ones repeat the first."""
    whole = resnet.resnet

    def shallow(layers: Layers, stem: nn.Module, widths: Sequence[int], blocks: Any, *more: Any) -> nn.Module:
        return whole(layers, stem, widths, [1] * len(blocks), *more)

    monkeypatch.setattr(resnet, "resnet", shallow)
