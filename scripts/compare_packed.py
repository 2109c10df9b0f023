"""A checkpoint and its packed file on every image of a split, one by one.

    python scripts/compare_packed.py RUN MODEL.bnn [--split test] [--root FOLDER]

Prints how many images get the same answer, on how many the logits are equal bit for bit, how far they lie
apart, and the CPU time that each network took (BNN_TRAIN_KERNEL=off keeps the checkpoint's on PyTorch's own
products). The exit code is 1 if an answer differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bnn_train.cli import terminal
from bnn_train.cli.checkpoints import find
from bnn_train.cli.common import guarded, path_argument
from bnn_train.data.open import open_data
from bnn_train.packed import load
from bnn_train.training.restore import model_of, open_checkpoint

Logits = NDArray[np.float32]
CPU = torch.device("cpu")


class Comparison:
    """Agreement so far."""

    def __init__(self) -> None:
        self.images = self.same = self.equal = 0
        self.largest = 0.0
        self.seconds = [0.0, 0.0]

    def add(self, trained: Logits, packed: Logits) -> None:
        """The logits of one batch, N×classes each."""
        self.images += len(trained)
        self.same += int((trained.argmax(1) == packed.argmax(1)).sum())
        self.equal += int((trained == packed).all(axis=1).sum())
        self.largest = max(self.largest, float(np.abs(trained - packed).max() / np.abs(trained).max()))

    def timed(self, which: int, run: Callable[[], Any]) -> Any:
        """The result of ``run``; its CPU time is added."""
        begin = time.process_time()
        result = run()
        self.seconds[which] += time.process_time() - begin
        return result

    def report(self) -> None:
        """Print it."""
        trained, packed = self.seconds
        print(f"{self.images} images: {self.same} with the same answer")
        print(f"logits equal bit for bit on {self.equal}; furthest apart {self.largest:.1e} of the largest")
        print(f"CPU time {trained:.1f} s, packed {packed:.2f} s: {trained / packed:.1f} times less")


def compare(run: Path, file: Path, split: str, root: str | None) -> Comparison:
    """Both networks on all images of a split, one thread each."""
    torch.set_num_threads(1)
    checkpoint, experiment = open_checkpoint(find(run))
    section = experiment.data if root is None else experiment.data.model_copy(update={"root": root})
    preprocess = checkpoint.section("preprocess")
    data = open_data(section, seed=experiment.seed, device=CPU, splits=(split,), preprocess=preprocess)
    trained, packed, seen = model_of(checkpoint, CPU), load(file), Comparison()
    chosen = data.splits[split]
    for images, _ in chosen.source.batches(chosen.positions, None, section.eval_batch_size):
        x, pixels = data.normalizer(images), np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
        with torch.no_grad():
            logits = seen.timed(0, lambda x=x: trained(x).float().numpy())  # type: ignore[misc]  # a default
        seen.add(logits, seen.timed(1, lambda pixels=pixels: packed(pixels)))  # type: ignore[misc]
    return seen


def main() -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=path_argument, metavar="RUN")
    parser.add_argument("file", type=path_argument, metavar="MODEL.bnn")
    parser.add_argument("--split", choices=("test", "validation", "train"), default="test")
    parser.add_argument("--root", metavar="FOLDER")
    args = parser.parse_args()
    found: list[Comparison] = []
    code = guarded(lambda: found.append(compare(args.run, args.file, args.split, args.root)))
    if code:
        return code
    found[0].report()
    return int(found[0].same != found[0].images)


if __name__ == "__main__":
    sys.exit(main())
