"""Decoding processes, started either way, change nothing of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bnn_train.cli.train import main as train
from commands import ENVIRONMENT, PATIENCE_S
from make_data import write_imagenet
from same_run import assert_same_run
from tiny_yaml import write_config

SPAWNING = """
import multiprocessing, sys
from bnn_train.cli.train import main
multiprocessing.set_start_method("spawn")
sys.exit(main(sys.argv[1:]))
"""
DATA = {
    "name": "imagenet",
    "root": "images",
    "batch_size": 4,
    "image_size": 16,
    "augment": ["random_resized_crop"],
    "normalize": ["signed"],
    "workers": 0,
}


@pytest.fixture
def alone(workdir: Path) -> Path:
    """t.yaml on an image folder, and its run without decoding processes."""
    write_imagenet(workdir / "images")
    write_config(workdir, data=DATA, training={"epochs": 1, "select": "last"})
    assert train(["--config", "t.yaml", "--set", "run.dir=alone"]) == 0
    return workdir / "alone"


def test_forked(alone: Path, workdir: Path) -> None:
    assert train(["--config", "t.yaml", "--set", "run.dir=forked", "--set", "data.workers=2"]) == 0
    assert_same_run(alone, workdir / "forked")


@pytest.mark.slow  # each process imports torch; test_data_images.py has the short one
def test_spawned(alone: Path, workdir: Path) -> None:
    settings = ["--config", "t.yaml", "--set", "run.dir=spawned", "--set", "data.workers=1"]
    done = subprocess.run(
        [sys.executable, "-c", SPAWNING, *settings],
        cwd=workdir,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "run folder: spawned\n")
    assert_same_run(alone, workdir / "spawned")
