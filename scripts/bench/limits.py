"""Limits of this machine: the throughput of its instructions, measured from registers."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.record import Record
from bench.table import Row
from bench.timing import Engine, Plan, interleave

SOURCE = Path(__file__).with_name("limits.c")
TURNS = 50_000
NAMES = {
    "binary": "xor + vpopcntd + vpaddd, 512 bit",
    "fp32": "vfmadd, 512 bit",
    "int8": "vpdpbusd, 512 bit",
    "fp32_avx2": "vfmadd, 256 bit",
    "lookup_avx2": "xor + vpshufb popcount, 256 bit",
}


@dataclass(frozen=True)
class Limit:
    """An engine that does nothing but one kind of multiply-accumulate."""

    kind: str
    engine: Engine
    macs: int
    """Of a call, all threads together."""


def limits(threads: int) -> list[Limit]:
    """Those of this CPU; none where there is no C compiler for it."""
    compiled = _compile()
    if compiled is None:
        return []
    pool = ThreadPoolExecutor(threads)  # ctypes lets the threads run at the same time
    found = []
    for kind in NAMES:
        function = compiled[f"limit_{kind}"]
        function.argtypes, function.restype = [ctypes.c_long], ctypes.c_long
        macs = function(1)
        if macs:
            engine = Engine(f"limit {kind}", _caller(function, pool, threads))
            found.append(Limit(kind, engine, macs * TURNS * threads))
    return found


def _caller(function: ctypes._NamedFuncPointer, pool: ThreadPoolExecutor, threads: int):  # type: ignore[no-untyped-def]
    if threads == 1:
        return lambda: function(TURNS)
    return lambda: list(pool.map(function, [TURNS] * threads))


def _compile() -> ctypes.CDLL | None:
    """``limits.c`` through the system's compiler."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "limits.so")
        command = [compiler, "-O3", "-shared", "-fPIC", "-o", str(target), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode != 0:
            return None
        return ctypes.CDLL(str(target))


def rates(found: list[Limit], plan: Plan) -> dict[str, tuple[float, float]]:
    """GMAC/s of each kind: median and best."""
    samples = interleave([limit.engine for limit in found], plan)
    return {
        limit.kind: (limit.macs / sample.median / 1e9, limit.macs / sample.least / 1e9)
        for limit in found
        for sample in [samples[limit.engine.name]]
    }


def measure(record: Record, threads: int, plan: Plan) -> None:
    """A row for each kind of instruction."""
    found = limits(threads)
    if not found:
        print("Limits: not measured; no C compiler for this CPU")
        return
    rows: list[Row] = [
        {"instructions": NAMES[kind], "GMAC/s": median, "best": most}
        for kind, (median, most) in rates(found, plan).items()
    ]
    record.add(f"Limits from registers, {threads} thread(s)", rows, left=("instructions",))
