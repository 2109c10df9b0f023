"""Python of 64-bit Arm: Debian's packages and PyPI's wheels for it, unpacked into a folder of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from arm.machines import Machine, command
from bnn_train.errors import BnnError

ROOT = Path(__file__).resolve().parents[2]
VERSION = "3.11"
"""Of Debian 12."""
DEBIAN = (
    *(f"python{VERSION}-minimal", f"libpython{VERSION}-minimal", f"libpython{VERSION}-stdlib"),
    *("libc6", "libgcc-s1", "libstdc++6", "libgomp1", "zlib1g", "libexpat1", "libffi8", "libssl3"),
    *("libbz2-1.0", "liblzma5", "libuuid1"),
)
WHEELS = ("numpy", "pydantic", "pillow", "safetensors", "pyyaml", "pytest")
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")


def missing(folder: Path) -> list[str]:
    """The packages that ``folder`` has not got: files of Debian's in ``debs``, of PyPI's in ``wheels``."""
    debs = [name for name in DEBIAN if not list(folder.glob(f"debs/{name}_*_arm64.deb"))]
    return debs + [name for name in WHEELS if not list(folder.glob(f"wheels/{name}-*.whl"))]


def fetch(folder: Path) -> None:
    """Download the packages by apt-get and pip; the system's own lists of packages and its architectures
    stay as they are. Raises BnnError with their words."""
    for name in ("debs", "wheels", "apt/lists/partial", "apt/cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    apt = folder / "apt"
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "APT::Sandbox::User": "",
        "Dir::State::Lists": f"{apt}/lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": f"{apt}/cache",
    }
    words = ["apt-get", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]
    _run([*words, "update"], folder)
    _run([*words, "download", *DEBIAN], folder / "debs")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    which = ["--only-binary", ":all:", "--python-version", VERSION]
    which += [word for platform in PLATFORMS for word in ("--platform", platform)]
    _run([*pip, *which, "-c", str(ROOT / "constraints.txt"), "-d", str(folder / "wheels"), *WHEELS], folder)


def unpack(folder: Path) -> None:
    """Into ``root`` and ``site``, once. Raises BnnError."""
    done = folder / "unpacked"
    if done.exists():
        return
    for deb in sorted(folder.glob("debs/*.deb")):
        _run(["dpkg", "-x", str(deb), str(folder / "root")], folder)
    for wheel in sorted(folder.glob("wheels/*.whl")):
        with zipfile.ZipFile(wheel) as file:
            for name in file.namelist():
                file.extract(name, folder / "site")
    done.touch()


def run(machine: Machine, folder: Path, words: Sequence[str]) -> str:
    """The output of the machine's Python, which imports this repository's package, scripts and tests.
    Raises BnnError if it fails."""
    paths = (ROOT, ROOT / "scripts", ROOT / "tests", ROOT / "tests" / "golden", folder / "site")
    environment = {
        "PYTHONHOME": f"{folder}/root/usr",
        "PYTHONPATH": ":".join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_WAIT_POLICY": "passive",
        "OPENBLAS_NUM_THREADS": "1",
    }
    python = [f"{folder}/root/usr/bin/python{VERSION}", *words]
    line = command(machine, folder / "root", python)
    given = [word for key, value in environment.items() for word in ("-E", f"{key}={value}")]
    return _run([line[0], *given, *line[1:]], folder)


def _run(words: Sequence[str], folder: Path) -> str:
    if shutil.which(words[0]) is None:
        raise BnnError(f"{words[0]} is missing here: fill {folder} on a machine that has it")
    done = subprocess.run(
        words, cwd=folder, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        raise BnnError(f"{Path(words[0]).name} failed ({done.returncode}): {done.stderr.strip()[-1500:]}")
    return done.stdout
