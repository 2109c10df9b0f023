"""The compiled kernels and the counter of the heap, as programs are tried on them."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import NamedTuple

from bnn_train.errors import BnnError
from bnn_train.packed import build, native_library

_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
FAST_CODE, FAST_BUILD = ("-g1", "-O1"), ("-g0", "-O0")
_HEAP = Path(__file__).with_name("heap.c")
_ASAN = "detect_leaks=0:allocator_may_return_null=1:hard_rss_limit_mb=3000:max_allocation_size_mb=3000"
_MEMORY = 4 * 2**30


class Libraries(NamedTuple):
    """The libraries that a worker is started with."""

    kernels: Path
    environment: dict[str, str]
    memory: int
    """Bytes of address space; 0: as many as there are, since a sanitizer needs them for its shadow."""


def plain(folder: Path) -> Libraries:
    """The kernels in place. Raises BnnError without a compiler for the heap's counter."""
    heap = _heap(folder / "heap.so")
    return Libraries(native_library.FOLDER / native_library.FILE, {"LD_PRELOAD": str(heap)}, _MEMORY)


def sanitized(folder: Path, how: tuple[str, ...] = FAST_CODE) -> Libraries:
    """The kernels under AddressSanitizer and UBSan, compiled unless ``folder`` has them of the same sources.
    Raises BnnError where the compiler cannot."""
    preload = [runtime("libasan.so"), runtime("libstdc++.so"), str(_heap(folder / "heap-asan.so", "-DASAN"))]
    flags = (*_SANITIZE, *how)
    kernels = folder / f"kernels-{digest(flags)[:16]}.so"
    if not kernels.exists():
        build.compile_library(kernels, flags)
    environment = {"ASAN_OPTIONS": _ASAN, "UBSAN_OPTIONS": "print_stacktrace=1"}
    return Libraries(kernels, {**environment, "LD_PRELOAD": ":".join(preload)}, 0)


def runtime(name: str) -> str:
    """The path of the compiler's shared library of this name. Raises BnnError if it has none."""
    command = [build.compiler(), f"-print-file-name={name}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    path = Path(done.stdout.strip())
    if done.returncode or not path.is_absolute():
        raise BnnError(f"{command[0]} has no {name}: install the compiler's sanitizers")
    return str(path.resolve())


def _heap(to: Path, *flags: str) -> Path:
    """The counter of the heap, compiled."""
    to.parent.mkdir(parents=True, exist_ok=True)
    command = [build.compiler(), "-O2", "-fPIC", "-shared", *flags, "-o", str(to), "-x", "c", str(_HEAP)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        raise BnnError(f"{command[0]} failed: {done.stderr.strip()[:2000]}")
    return to


def digest(flags: tuple[str, ...]) -> str:
    """Of the kernels' sources and flags beside the usual ones."""
    found = hashlib.sha256(" ".join((*build.FLAGS, *flags)).encode())
    for path in sorted(p for p in build.SOURCES.rglob("*") if p.is_file()):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()
