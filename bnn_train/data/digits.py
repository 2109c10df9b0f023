"""The handwritten digits of the quickstart, 8×8, from a file of the package; origin: ``DIGITS.md``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("digits.npz")
DEEPEST = 16
"""Each pixel counts the ink of 4×4 finer ones."""
_TEST_OF_18 = 5
"""Of every 18 digits the first 5 are the test set: 500 of 1,797, spread over the writers."""

Array = np.ndarray[Any, Any]


def digits(part: str) -> tuple[Array, Array]:
    """The images of ``train`` or ``test``, uint8 N×1×8×8 of 0 to 255, and their labels, int64."""
    with np.load(FILE) as held:
        scans, labels = held["images"], held["labels"]
    chosen = (np.arange(len(labels)) % 18 < _TEST_OF_18) == (part == "test")
    pixels = np.rint(scans[chosen] * (255 / DEEPEST)).astype(np.uint8)
    return pixels[:, None], labels[chosen].astype(np.int64)
