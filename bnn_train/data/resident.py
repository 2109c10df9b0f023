"""Images that stay where they are used, as ``data.resident`` says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bnn_train.data.randomness import Ids
from bnn_train.spec.data import Resident

SHARE = 8
"""``auto`` takes at most one part of so many of the memory that is free."""
_PROC, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
_GROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)
"""A container's limit, what it takes, and which of it are pages of files: both versions of Linux's groups."""


def has_room(choice: Resident, size: int, device: torch.device) -> bool:
    """Whether ``size`` bytes of images shall stay in the memory of the device."""
    return size * SHARE <= free_memory(device) if choice == "auto" else choice


def free_memory(device: torch.device) -> int:
    """Bytes of a GPU that nobody uses, or of the host's memory; 0 where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = _PROC.read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # not Linux
        return 0
    return min([free, *(left for names in _GROUPS if (left := _left(*names)) is not None)])


def _left(limit: str, usage: str, statistics: str, cached: str) -> int | None:
    """Bytes that a container may still take, pages of files that it can drop among them; None without one."""
    try:
        most, taken = (int((_CGROUP / name).read_text(encoding="ascii")) for name in (limit, usage))
        lines = (_CGROUP / statistics).read_text(encoding="ascii").splitlines()
        files = next(int(line.split()[1]) for line in lines if line.startswith(f"{cached} "))
        return max(0, most - taken + files)
    except (OSError, ValueError, StopIteration):
        return None


class Kept:
    """Pictures that every epoch evaluates, decoded in the first and held on the device from then on."""

    def __init__(self, positions: Ids, choice: Resident, device: torch.device) -> None:
        self.positions, self.choice, self.device = np.sort(positions), choice, device
        self._images = torch.empty(0, dtype=torch.uint8, device=device)
        self._labels = torch.zeros(len(positions), dtype=torch.int64, device=device)
        self._filled = np.zeros(len(positions), dtype=bool)

    def holds(self, order: Ids) -> bool:
        """Whether all of these can be given out."""
        return self._knows(order) and bool(self._filled[self._rows(order)].all())

    def batch(self, order: Ids) -> tuple[Tensor, Tensor]:
        """Images and labels of these, as they were put in."""
        rows = torch.from_numpy(self._rows(order)).to(self.device)
        return self._images.index_select(0, rows).permute(0, 3, 1, 2), self._labels[rows]

    def put(self, order: Ids, images: Tensor, labels: Tensor) -> None:
        """Hold these, uint8 B×C×H×W, if they are of those that stay and there is room for all."""
        if not (self._knows(order) and self._has_room(images)):
            return
        pixels, rows = images.permute(0, 2, 3, 1), self._rows(order)
        if not len(self._images):
            self._images = self._images.new_empty((len(self.positions), *pixels.shape[1:]))
        at = torch.from_numpy(rows).to(self.device)
        self._images[at], self._labels[at] = pixels, labels
        self._filled[rows] = True

    def _has_room(self, images: Tensor) -> bool:
        if self.choice == "auto":
            self.choice = has_room("auto", len(self.positions) * images[0].numel(), self.device)
        return self.choice

    def _rows(self, order: Ids) -> Ids:
        return np.searchsorted(self.positions, order)

    def _knows(self, order: Ids) -> bool:
        rows = self._rows(order)
        return bool((rows < len(self.positions)).all() and (self.positions[rows] == order).all())
