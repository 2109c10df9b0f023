"""The script for a GPU, all of it, tiny, on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from commands import ENVIRONMENT

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "gpu_check.py"


@pytest.mark.slow
def test_every_part_is_rehearsed(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    command = [sys.executable, str(SCRIPT), "--rehearse", "--out", str(out)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())["parts"]
    assert set(found) == {"tests", "throughput", "speedrun", "recipe"}
    assert [name for name, entry in found["throughput"].items() if "error" in entry] == []
    assert found["recipe"]["xnor_resnet20"]["finished"]
