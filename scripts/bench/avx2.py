"""The layers once more as a CPU without AVX-512 would run them: in a process of its own, since every library
chooses its instructions when it is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.record import Record

LIMITED = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "BNN_ISA": "avx2",
}
PEERS = "torch"
"""The others have no switch for it."""


def measure(record: Record, arguments: list[str]) -> None:
    """Runs ``bench_packed.py layers`` with ``arguments`` under ``LIMITED`` and takes over its sections."""
    script = Path(__file__).parents[1] / "bench_packed.py"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "avx2.json")
        command = [sys.executable, str(script), "layers", "--peers", PEERS, "--json", str(target), *arguments]
        print(f"\nWith {' '.join(f'{k}={v}' for k, v in LIMITED.items())}:", flush=True)
        done = subprocess.run(command, env=os.environ | LIMITED, check=False)
        if not target.exists():
            record.wrong.append(f"avx2: the run under AVX2 ended with exit code {done.returncode}")
            return
        found = json.loads(target.read_text(encoding="utf-8"))
    record.wrong += [f"avx2: {line}" for line in found["wrong"]]
    for section in found["sections"]:
        record.sections.append(section | {"title": f"AVX2: {section['title']}", "environment": LIMITED})
