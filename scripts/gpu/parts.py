"""The files that a machine without a network needs, in parts that a slow or narrow way to it can carry."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bnn_train.errors import DataError, RunError

MOST_BYTES = 60 * 2**20
WHEELS = (
    *("pydantic", "pydantic_core", "annotated_types", "typing_inspection", "typing_extensions", "pyyaml"),
    *("safetensors", "filelock", "tqdm", "pytest", "iniconfig", "pluggy", "packaging", "pygments"),
)
"""All that is imported besides torch and numpy; torchvision and Pillow are not needed for CIFAR-10."""
CIFAR = "cifar-10-batches-py"
GROUPS = (
    ("data_batch_1", "data_batch_2"),
    ("data_batch_3", "data_batch_4"),
    ("data_batch_5", "test_batch", "batches.meta"),
)


def pack(root: Path, out: Path, python: str) -> None:
    """``wheels/``, unpacked packages for that version of Python on x86-64 Linux, and ``cifar-1/`` …; all of
    one name below their parts, so that to copy them over each other makes the data's folder."""
    for number, names in enumerate(GROUPS, start=1):
        folder = out / f"cifar-{number}" / CIFAR
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            source = root / CIFAR / name
            if not source.is_file():
                raise DataError(f"{source}: no such file; --data names the folder that holds {CIFAR}/")
            shutil.copyfile(source, folder / name)
    _unpack_wheels(out / "wheels", python)
    for part in sorted(path for path in out.iterdir() if path.is_dir()):
        size = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
        if size > MOST_BYTES:
            raise RunError(f"{part}: {size:,} bytes, more than {MOST_BYTES:,}")
        print(f"{part}: {size:,} bytes")


def _unpack_wheels(folder: Path, python: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    command += [
        "--upgrade",
        "--only-binary=:all:",
        "--python-version",
        python,
        "--platform",
        "manylinux2014_x86_64",
    ]
    command += ["--platform", "manylinux_2_28_x86_64", *WHEELS]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RunError(f"pip could not fetch the packages: {done.stderr.strip()[-500:]}")


def gathered(parts: Path) -> Path:
    """The folder of CIFAR-10's files, put together from parts if they lie apart."""
    for root in (parts, parts / "data"):
        if all((root / CIFAR / name).is_file() for names in GROUPS for name in names):
            return root
    whole = parts / "data" / CIFAR
    whole.mkdir(parents=True, exist_ok=True)
    for number, names in enumerate(GROUPS, start=1):
        for name in names:
            source = parts / f"cifar-{number}" / CIFAR / name
            if not source.is_file() and not (whole / name).is_file():
                raise DataError(
                    f"{source}: no such file; bring part cifar-{number}, or name the data by --data"
                )
            if source.is_file():
                shutil.copyfile(source, whole / name)
    return parts / "data"
