"""Tiny photos of all kinds of pixels in folders of their classes, and the data section for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

TINY = {"size": 8, "batch_size": 4, "workers": 0}


def photos(root: Path, classes: tuple[str, ...], parts: dict[str, int]) -> None:
    """Photos of one colour a class, of all kinds of pixels."""
    rng = np.random.default_rng(0)
    for part, count in parts.items():
        for number, name in enumerate(classes):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                colours = rng.integers(0, 90, (4, 5, 3), dtype=np.uint8)
                colours[..., number % 3] += 150
                image = Image.fromarray(colours).resize((40, 34), Image.Resampling.BICUBIC)
                image.convert(("RGB", "L", "RGBA", "P")[i % 4]).save(folder / f"{i}.png")
