"""Worker processes where shared memory is short: the same run, or a sentence, and never a traceback."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bnn_train.cli.train import main as train
from bnn_train.data import crew
from commands import ENVIRONMENT, PATIENCE_S
from make_data import write_imagenet
from same_run import assert_same_run
from tiny_yaml import errors, write_config

DATA = {
    "name": "imagenet",
    "root": "images",
    "batch_size": 4,
    "image_size": 64,
    "augment": ["random_resized_crop"],
    "normalize": ["signed"],
    "workers": 0,
}
ARGUMENTS = ["--config", "t.yaml", "--set", "run.dir=run", "--set", "data.workers=2"]


@pytest.fixture
def alone(workdir: Path) -> Path:
    """t.yaml on an image folder, and its run without worker processes."""
    write_imagenet(workdir / "images", train=8)
    write_config(workdir, data=DATA, training={"epochs": 1, "select": "last"})
    assert train(["--config", "t.yaml", "--set", "run.dir=alone"]) == 0
    return workdir / "alone"


def test_batches_go_through_a_pipe_instead(
    alone: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tensor: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)  # a fork has it too
    assert train(ARGUMENTS) == 0
    assert_same_run(alone, workdir / "run")


@pytest.mark.usefixtures("alone")
def test_no_room_for_locks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Full:
        def Event(self) -> Any:  # noqa: N802  # as multiprocessing calls it
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(multiprocessing, "get_context", Full)
    (said,) = errors(train, ARGUMENTS, capsys)
    assert said.startswith("2 worker processes cannot start (No space left on device)")
    assert f"{crew.SHARED}: give it more room, or set data.workers to 0" in said


def in_small_memory(size: str) -> subprocess.CompletedProcess[str]:
    """``bnn-train`` where /dev/shm holds so much, in a namespace of its own."""
    command = f'mount -t tmpfs -o size={size} tmpfs {crew.SHARED} || exit 99; exec "$@"'
    return subprocess.run(
        [
            "unshare",
            "-rm",
            "sh",
            "-c",
            command,
            "sh",
            sys.executable,
            "-m",
            "bnn_train.cli.train",
            *ARGUMENTS,
        ],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize("size", ["4k", pytest.param("100k", marks=pytest.mark.slow)])
def test_a_small_file_system(size: str, alone: Path, workdir: Path) -> None:
    """100 KiB hold the locks and hardly a batch of 48 KiB; 4 KiB not even the locks."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount a small /dev/shm")
    done = in_small_memory(size)
    if done.returncode in (1, 99) and "bnn_train" not in done.stderr and "run folder" not in done.stderr:
        pytest.skip(f"no small /dev/shm can be mounted here: {done.stderr.strip()}")
    assert "Traceback" not in done.stderr
    if size == "4k":
        assert done.returncode == 2
        assert "worker processes cannot start" in done.stderr
    else:
        assert done.returncode == 0
        assert_same_run(alone, workdir / "run")
