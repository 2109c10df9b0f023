"""Figures of a machine in one JSON file, to which each call adds what it had time for."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bnn_train.errors import RunError
from bnn_train.files import write_atomic

PEAKS = {
    "H200": 989,
    "H100 PCIe": 756,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10": 125,
    "4090": 165,
}
"""bf16 without sparsity, in 10¹² operations a second, by a part of the card's name: the data sheets'."""


def machine(device: torch.device) -> dict[str, Any]:
    """The card or processor, the software and the settings that a figure belongs to."""
    cuda = device.type == "cuda"
    cpu = f"{platform.machine()}, {torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name(device) if cuda else cpu
    return {
        "device": name,
        "bf16_peak_tflops": next((peak for part, peak in PEAKS.items() if cuda and part in name), None),
        "memory_bytes": torch.cuda.get_device_properties(device).total_memory if cuda else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": _cudnn() if cuda else None,
        "python": platform.python_version(),
        "tf32": {"cudnn": torch.backends.cudnn.allow_tf32, "matmul": torch.backends.cuda.matmul.allow_tf32},
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
    }


def _cudnn() -> int:
    found: int = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # in torch
    return found


class Results:
    """The file, and how long this call may still go on."""

    def __init__(self, path: Path, device: torch.device, seconds: float) -> None:
        self.path, self.device, self._end = path, device, time.monotonic() + seconds
        self._found: dict[str, Any] = {"machine": machine(device), "parts": {}}
        if path.exists():
            self._load()

    def _load(self) -> None:
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            parts, device = dict(stored["parts"]), stored["machine"]["device"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self.path}: no results of this script ({error}); name another file") from None
        if device != self._found["machine"]["device"]:
            raise RunError(f"{self.path}: results of another machine, {device}; name another file")
        self._found["parts"] = parts

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def of(self, part: str) -> dict[str, Any]:
        """Entries of a part by name."""
        return dict(self._found["parts"].get(part, {}))

    def add(self, part: str, name: str, entry: Mapping[str, Any]) -> None:
        """Write an entry to the file, and a line to the terminal."""
        self._found["parts"].setdefault(part, {})[name] = dict(entry)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, json.dumps(self._found, indent=1) + "\n")
        print(f"{part} {name}: " + ", ".join(f"{k} {_told(v)}" for k, v in entry.items()), flush=True)


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{len(value)} entries" if isinstance(value, list) else str(value)
