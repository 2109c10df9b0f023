"""The cost of a recipe on this machine: a measured training step times the steps of the whole recipe.

    python scripts/recipe_cost.py [--device cuda] [--batch N] [--steps 10] CONFIG ...

A step is what the training loop does (forward, loss, backward, optimizer, latent rules) on one random batch
that is already on the device: reading and augmenting images comes on top, where the loader is slower than
that. ``--batch`` measures with fewer images than the recipe's batch and counts images instead of steps, for
machines with little memory. Evaluations are not counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from bench_step import stepper
from bnn_train.cli import terminal
from bnn_train.cli.common import guarded, path_argument
from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.data.bundle import batches_per_epoch
from bnn_train.spec.datasets import DATASETS
from bnn_train.training.setup import choose_device

WARM_UP = 2
"""Steps before the clock runs."""


def images_of(experiment: Experiment) -> int:
    """Training images that the whole recipe shows the network, repeated ones counted again."""
    data, known = experiment.data, DATASETS[experiment.data.name]
    held_out = known.validation if data.validation.size is None else data.validation.size
    pool = known.train + (known.extra if data.extra else 0) - held_out
    pool = min(pool, data.train_limit or pool)
    places = batches_per_epoch(data, pool) * data.batch_size
    shown = places if data.sampling == "balanced" else min(places, pool)  # the last batch may be smaller
    return experiment.training.epochs * shown


def seconds_of(step: Callable[[], None], device: torch.device) -> float:
    """Of one step, the device's queue emptied."""
    started = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def cost(path: Path, device: torch.device, batch: int | None, steps: int) -> str:
    """A row of the table."""
    experiment = load(path)
    step, size = stepper(path, batch or experiment.data.batch_size, device)
    times = [seconds_of(step, device) for _ in range(WARM_UP + steps)][WARM_UP:]
    per_image = statistics.median(times) / size
    images = images_of(experiment)
    return (
        f"| `{path}` | {size} | {1e3 * per_image * size:,.0f} | {1 / per_image:,.0f}"
        f" | {images / 1e6:,.1f} M | {images * per_image / 3600:,.1f} |"
    )


def run(args: argparse.Namespace) -> None:
    """Measure and print a Markdown table."""
    experiments = [load(path) for path in args.configs]  # mistakes first
    surroundings = experiments[0].run.model_copy(update={"device": args.device, "threads": args.threads})
    device = choose_device(surroundings)
    on = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} CPU thread(s)"
    print(f"| config, on {on} | batch | ms a step | images/s | images in all | hours |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for path in args.configs:
        print(cost(path, device, args.batch, args.steps), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    parser = argparse.ArgumentParser(prog="recipe_cost.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("configs", nargs="+", type=path_argument, metavar="CONFIG")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--batch", type=int, help="default: the recipe's")
    parser.add_argument("--steps", type=int, default=10, help="the median of so many (default 10)")
    parser.add_argument("--threads", type=int, help="CPU threads")
    args = parser.parse_args(argv)
    for name in ("batch", "steps", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return guarded(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
