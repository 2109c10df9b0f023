"""Kernels that are turned in place."""

from __future__ import annotations

RING = (0, 1, 2, 5, 8, 7, 6, 3)
"""The border of a 3×3 kernel, clockwise."""


def turned(k: int, copies: int) -> list[int]:
    """From where each tap of a 3×3 kernel comes that is turned clockwise by k/copies of a full turn."""
    taps = list(range(9))
    for place, tap in enumerate(RING):
        taps[tap] = RING[(place - k * len(RING) // copies) % len(RING)]
    return taps
