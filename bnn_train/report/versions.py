"""Provenance of a result: packages, machine, revision."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import bnn_train

PACKAGES = ("torch", "torchvision", "numpy")
_ROOT = Path(__file__).resolve().parents[2]


def versions() -> dict[str, str]:
    """Of Python, this package and those whose arithmetic enters a result; none of them is imported."""
    installed = {name: metadata.version(name) for name in PACKAGES}
    return {"bnn_train": bnn_train.__version__, "python": platform.python_version(), **installed}


def machine() -> dict[str, Any]:
    """CPU, cores, the instruction set torch chose, threads and GPUs; no names of host, user or folder."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "isa": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
    }


def _cpu() -> str:
    """The model as Linux names it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or "unknown"


def git_revision(root: Path = _ROOT) -> dict[str, Any] | None:
    """Commit of the checkout the package runs from and whether it was changed since; None for an
    installed package, even where its environment stands inside somebody else's checkout."""
    top = _git(root, "rev-parse", "--show-toplevel")
    commit = _git(root, "rev-parse", "HEAD")
    if not top or not commit or Path(top).resolve() != root.resolve():
        return None
    return {"commit": commit, "dirty": _git(root, "status", "--porcelain") != ""}


def _git(root: Path, *command: str) -> str | None:
    """Output of a git command that takes no lock; None if it fails."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  # fixed words and our own folder
            [git, "--no-optional-locks", "-C", str(root), *command],
            capture_output=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return os.fsdecode(done.stdout).strip()  # a path may be of any bytes
