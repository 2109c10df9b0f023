"""Pipes and devices are refused by the packed runtime, not waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = (
    "import sys\n"
    "from bnn_train.packed import load\n"
    "from bnn_train.packed.errors import PackedFileError\n"
    "try:\n"
    "    load(sys.argv[1])\n"
    "except PackedFileError as error:\n"
    "    print(error)\n"
)


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "device", "folder"])
def test_no_regular_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bnn"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to("pipe")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith(f"{path}: ")
    assert "no regular file" in done.stdout or "Is a directory" in done.stdout
