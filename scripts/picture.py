"""The picture of a run: its curves, and test images with the network's answers.

    python scripts/picture.py RUN [--out configs/quickstart.png]

Reads RUN/metrics.jsonl, RUN/report.json and the best checkpoint, and the images where the run had them. Needs
matplotlib: pip install -e '.[plots]'.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bnn_train.cli import terminal
from bnn_train.cli.checkpoints import find
from bnn_train.cli.common import guarded, path_argument
from bnn_train.config.loader import from_mapping
from bnn_train.config.local import located
from bnn_train.data.open import open_data
from bnn_train.data.pixels import pixel_batches
from bnn_train.errors import BnnError, RunError
from bnn_train.report.metrics import read_metrics
from bnn_train.training.restore import model_of, open_checkpoint

COLUMNS = 10
RIGHT, WRONG, LINES = "#2a7f3f", "#c0392b", ("#1f4e79", "#d9822b", "#8a8a8a")


class Answer(NamedTuple):
    """A test image and the class that the network gives it."""

    pixels: NDArray[np.uint8]
    """H×W×C."""
    label: str
    answer: str


def answers(run: Path) -> list[Answer]:
    """Every test image of a run with the answer of its best checkpoint."""
    cpu = torch.device("cpu")
    checkpoint, _ = open_checkpoint(find(run))
    experiment = from_mapping(located(checkpoint.state["experiment"], run))
    data = open_data(
        experiment.data,
        seed=experiment.seed,
        device=cpu,
        splits=("test",),
        preprocess=checkpoint.section("preprocess"),
    )
    model, found = model_of(checkpoint, cpu), []
    with torch.no_grad():
        for (images, labels), (pixels, _) in zip(
            data.eval_batches("test"), pixel_batches(data, "test"), strict=True
        ):
            chosen = model(images).argmax(dim=1)
            names = [(data.classes[a], data.classes[b]) for a, b in zip(labels, chosen, strict=True)]
            found += [Answer(own, *pair) for own, pair in zip(pixels, names, strict=True)]
    return found


def shown(found: Sequence[Answer]) -> Iterator[Answer]:
    """The first image of each class that is answered rightly, then the mistakes, a row of each."""
    first = {one.label: one for one in reversed(found) if one.label == one.answer}
    yield from [first[label] for label in sorted(first)][:COLUMNS]
    yield from [one for one in found if one.label != one.answer][:COLUMNS]


def curves(run: Path) -> dict[str, list[tuple[float, float]]]:
    """Points (epoch, percent) by the name of the curve."""
    epochs = [entry for entry in read_metrics(run / "metrics.jsonl") if entry["event"] == "epoch"]
    if not epochs:
        raise RunError(f"{run}: no finished epoch to draw; let the run end first")
    return {
        "training error": [(e["epoch"], 100 - e["train_top1"]) for e in epochs],
        "validation error": [
            (e["epoch"], 100 - e["validation_top1"]) for e in epochs if "validation_top1" in e
        ],
        "weights that changed sign": [
            (e["epoch"], 100 * e["flip_rate"]) for e in epochs if e.get("flip_rate") is not None
        ],
    }


def draw(run: Path, out: Path) -> None:
    """Write the picture. Raises BnnError for what is no finished run, or without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BnnError("matplotlib is missing; pip install -e '.[plots]'") from None
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    figure = Figure(figsize=(9, 2.7), dpi=100, layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=(1, 1.6))
    left, right = parts
    _plot(left.subplots(), curves(run))
    found = list(shown(answers(run)))
    right.suptitle(
        f"{report['title']}: {report['top1']:.1f} % of {report['total']} test images",
        fontsize=8,
    )
    _images(right.subplots(-(-len(found) // COLUMNS), COLUMNS, squeeze=False), found)
    figure.savefig(out)


def _plot(axes: Any, lines: dict[str, list[tuple[float, float]]]) -> None:
    for (name, points), colour in zip(lines.items(), LINES, strict=True):
        if points:
            axes.plot(*zip(*points, strict=True), label=name, color=colour, linewidth=1.3)
    axes.set_yscale("log")
    axes.set_xlabel("epoch", fontsize=8)
    axes.set_ylabel("%", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _images(grid: Any, found: Sequence[Answer]) -> None:
    for axes in grid.flat:
        axes.axis("off")
    for axes, one in zip(grid.flat, found, strict=False):
        axes.imshow(one.pixels, cmap="gray_r" if one.pixels.shape[2] == 1 else None)
        good = one.label == one.answer
        told = one.answer if good else f"{one.answer}, not {one.label}"
        axes.set_title(told, fontsize=8, color=RIGHT if good else WRONG, pad=2)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    p = argparse.ArgumentParser(prog="picture.py", description="Draw a run: curves, images and answers.")
    p.add_argument("run", metavar="RUN", type=path_argument, help="the folder of a finished run")
    p.add_argument("--out", metavar="F", type=path_argument, default=Path("picture.png"), help="PNG or SVG")
    args = p.parse_args(argv)
    return guarded(lambda: draw(args.run, args.out))


if __name__ == "__main__":
    sys.exit(main())
