"""The grid and packed networks in the other processor's Python, held against this one's logits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arm import python
from arm.machines import Answer, Machine, library
from bnn_train.packed import container, load

Array = NDArray[Any]
ROOT = Path(__file__).resolve().parents[2]
IMAGES = 4
CLOSE = 1e-6
"""Of the largest logit: float32 sums of open order in a last layer."""


class Logits(NamedTuple):
    """How many networks' logits were compared, kernel by kernel, how many of them are equal bit for bit, and
    a line for each that is further away than ``CLOSE``."""

    compared: int
    equal: int
    different: list[str]


def paths() -> list[Path]:
    """The packed files of the repository."""
    folders = ("tests/golden", "tests/corpus", "configs/zoo")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.bnn"))


def images(path: Path) -> Array:
    """Random pixels for a network."""
    of = container.read(path)[0].images
    shape = IMAGES, of.height, of.width, of.channels
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def compare(machine: Machine, folder: Path, every: int) -> tuple[Answer, Logits]:
    """Every ``every``-th program of the grid against numpy there, and all networks' logits on each kernel
    there against those of the best kernel here. Raises BnnError where it cannot run."""
    python.unpack(folder)
    task, found = folder / "images.npz", folder / "logits.npz"
    given = {str(path): images(path) for path in paths()}
    np.savez(task, **given)  # type: ignore[arg-type]  # its other keyword is a flag
    kernels = library(machine, folder / "build")
    text = python.run(machine, folder, ["-m", "arm.inside", *map(str, (kernels, every, task, found))])
    report = json.loads(text.splitlines()[-1])
    here = {path: load(path)(x) for path, x in given.items()}
    with np.load(found) as there:
        logits = _logits((key, there[key], here[key.partition(" ")[2]]) for key in there.files)
    return Answer(report["programs"], report["different"]), logits


def _logits(pairs: Iterator[tuple[str, Array, Array]]) -> Logits:
    compared, equal, different = 0, 0, []
    for key, found, wanted in pairs:
        compared += 1
        equal += np.array_equal(found, wanted)
        apart = np.abs(found - wanted).max() / np.abs(wanted).max()
        if not apart <= CLOSE:
            different.append(f"DIFFERENT {key}: logits {apart:.1e} apart")
    return Logits(compared, equal, different)
