"""Bytes and speed of the board's packed networks, from ``scripts/bench_methods.py``: columns of the board."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Benches = Mapping[str, Mapping[str, Any]]
"""By kernel, what one run of the script told."""


def benches(folder: Path) -> Benches:
    """All that lie in a folder, kernels by name."""
    found = (json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("board_packed_*.json"))
    return {bench["kernel"]: bench for bench in sorted(found, key=lambda bench: str(bench["kernel"]))}


def head(known: Benches) -> tuple[str, ...]:
    """Names of the columns."""
    return ("bytes", *(f"{column} {kernel}" for kernel in known for column in ("ms", "×")))


def cells(name: str, known: Benches) -> Iterator[str]:
    """A row's columns; a dash where it cannot be packed or was not timed."""
    rows = [bench["rows"].get(name, {}) for bench in known.values()]
    sizes = [row["bytes"] for row in rows if "bytes" in row]
    yield f"{sizes[0]:,}" if sizes else "–"
    for row in rows:
        yield f"{row['ms']:.2f}" if "ms" in row else "–"
        yield f"{row['faster']:.1f}" if "faster" in row else "–"


def legend(known: Benches) -> str:
    """A sentence on the columns."""
    told = (
        "bytes, ms: the packed network, one image, one thread; ×: how many times faster than the real-valued"
        " network in PyTorch (eager), in the same interleaved run, medians of the rounds"
    )
    if not known:
        return f"{told}; not measured yet."
    each = (
        f"{kernel}: {_cpu(bench['machine'])}, PyTorch {bench['peer_ms']:.2f} ms"
        for kernel, bench in known.items()
    )
    return f"{told} ({'; '.join(each)})."


def _cpu(machine: Any) -> str:
    return str(machine.get("cpu", machine) if isinstance(machine, dict) else machine)
