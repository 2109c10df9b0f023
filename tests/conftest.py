"""Every test runs on one thread, or on BNN_TEST_THREADS, and from the same seeds, whatever ran before it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from side_by_side import pytest_addoption, pytest_configure

__all__ = ["pytest_addoption", "pytest_configure"]

torch.set_num_threads(int(os.environ.get("BNN_TEST_THREADS", "1")))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(0)
    np.random.seed(0)  # libraries under test may use the global state
    torch.manual_seed(0)


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, so that default run folders stay out of the working tree."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
