"""Latency of one image in the packed and in the trained network: medians, measured in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Classify = Callable[[NDArray[np.uint8]], object]
"""A network, called with images N×H×W×C."""
BUDGET_S, ROUNDS, LEAST = 4.0, 200, 5


def latencies(runs: dict[str, Classify], image: NDArray[np.uint8]) -> dict[str, float]:
    """Milliseconds of each for one image 1×H×W×C; they take turns, so that a busy machine slows all alike."""
    for run in runs.values():
        run(image)
        run(image)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + BUDGET_S
    for number in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run(image)
            taken[name].append(time.perf_counter() - start)
        if number >= LEAST and time.perf_counter() > end:
            break
    return {name: 1000 * statistics.median(times) for name, times in taken.items()}
