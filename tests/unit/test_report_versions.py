"""The packages, machine and revision that a manifest names."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import bnn_train
from bnn_train.report.versions import git_revision, machine, versions


def git(folder: Path, *command: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *command], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "a")
    return tmp_path


def test_versions() -> None:
    found = versions()
    assert list(found) == ["bnn_train", "python", "torch", "torchvision", "numpy"]
    assert found["bnn_train"] == bnn_train.__version__
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_versions_do_not_import_torchvision() -> None:
    """Its wheel may not load beside a CPU build of torch, and a manifest must not fail for that."""
    code = "import sys, bnn_train.report.versions as v; v.versions(); print('torchvision' in sys.modules)"
    root = Path(bnn_train.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_machine_names_hardware_but_nobody() -> None:
    found = machine()
    assert set(found) == {"system", "cpu", "cores", "isa", "threads", "gpus"}
    assert found["threads"] == torch.get_num_threads() == 1
    assert found["isa"] == torch.backends.cpu.get_cpu_capability()
    assert found["cpu"]
    assert platform.node() not in str(found)


def test_git_revision(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert git_revision(checkout) == {"commit": commit, "dirty": False}
    (checkout / "a").write_text("2")
    assert git_revision(checkout) == {"commit": commit, "dirty": True}


def test_somebody_elses_checkout_is_not_ours(checkout: Path) -> None:
    inner = checkout / "site-packages"
    inner.mkdir()
    assert git_revision(inner) is None


def test_no_checkout(tmp_path: Path) -> None:
    assert git_revision(tmp_path) is None
