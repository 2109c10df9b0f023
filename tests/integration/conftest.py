"""A finished run for the tests of commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bnn_train.cli.train import main as train
from tiny_yaml import write_config


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests copy it."""
    folder = tmp_path_factory.mktemp("trained")
    run = folder / "run"
    assert train(["--config", str(write_config(folder)), "--set", f"run.dir={run}"]) == 0
    return run


@pytest.fixture
def run(trained: Path, workdir: Path) -> Path:
    """A finished run in the current directory, as ``run/``."""
    shutil.copytree(trained, workdir / "run")
    return Path("run")
