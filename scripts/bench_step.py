"""Training-step time of binarized networks over their real-valued twins, interleaved in one process.

    python scripts/bench_step.py [--rounds 15] [--threads 1] [--batch 32] [CONFIG ...]

Each CONFIG (default: a choice over all networks) is paired with ``fp_<network>.yaml`` beside it. A step
is that of the training loop: forward, loss, backward, optimizer, latent rules. The pair takes turns
in random order; the figures are medians over the rounds, and the ratio is the median of the pairs'.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from bnn_train.cli import outputs, terminal
from bnn_train.cli.common import path_argument
from bnn_train.config.loader import load
from bnn_train.errors import BnnError
from bnn_train.memory import keep_freed_memory
from bnn_train.spec.annealed import START
from bnn_train.spec.inputs import input_shape, num_classes
from bnn_train.training.losses.table import terms_of
from bnn_train.training.setup import build_learner, build_model
from bnn_train.training.step import Kept, training_step

CPU = torch.device("cpu")
CONFIGS = Path(__file__).parents[1] / "configs"
DEFAULT = (
    "mnist/bnn_mlp.yaml",
    "mnist/xnor_mlp.yaml",
    "mnist/xnor_lenet5.yaml",
    "cifar10/bc_convnet.yaml",
    "cifar10/bnn_convnet.yaml",
    "cifar10/xnor_vgg_small.yaml",
    "cifar10/xnor_nin.yaml",
    "cifar10/bnn_resnet18.yaml",
    "cifar10/bwn_resnet18.yaml",
    "cifar10/xnor_resnet18.yaml",
    "cifar10/xnor_resnet20.yaml",
    "imagenet/bwn_alexnet.yaml",
    "imagenet/xnor_alexnet.yaml",
    "imagenet/xnor_resnet18.yaml",
)


def stepper(config: Path, batch: int | None, device: torch.device = CPU) -> tuple[Callable[[], None], int]:
    """A function that does one training step on a fixed random batch, and the batch's size."""
    experiment = load(config)
    shape, classes = input_shape(experiment.data), num_classes(experiment.data)
    size = batch or min(experiment.data.batch_size, 128 if shape[1] < 64 else 16)
    model, terms = build_model(experiment, shape, classes, device), terms_of(experiment.loss, device)
    learner = build_learner(experiment, model, device, terms)
    images = torch.randn(size, *shape).to(device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(classes, (size,)).to(device)
    kept, clip = Kept(learner.model), experiment.training.clip_grad_norm

    def step() -> None:
        learner.optimizers.set_rate(1e-4, 0)
        training_step(learner, kept, [(images, labels)], position=START, clip=clip)

    return step, size


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def timed(step: Callable[[], None], clock: Callable[[], float]) -> float:
    """Seconds of one step."""
    started = clock()
    step()
    return clock() - started


def compare(config: Path, batch: int | None, rounds: int, clock: Callable[[], float]) -> dict[str, object]:
    """Medians of a config and its twin, in milliseconds, and the ratio."""
    twin = config.with_name("fp_" + config.stem.split("_", 1)[1] + ".yaml")
    (binary, size), (real, _) = stepper(config, batch), stepper(twin, batch)
    pairs = []
    for number in range(rounds + 2):
        order = [binary, real]
        random.shuffle(order)
        times = {step: timed(step, clock) for step in order}
        if number >= 2:  # two rounds to warm up
            pairs.append((times[binary], times[real]))
    return {
        "config": str(config.relative_to(CONFIGS)),
        "batch": size,
        "binary_ms": round(1e3 * statistics.median(b for b, _ in pairs), 2),
        "real_ms": round(1e3 * statistics.median(r for _, r in pairs), 2),
        "ratio": round(statistics.median(b / r for b, r in pairs), 3),
    }


def main() -> None:
    """Measure and print one line a pair; with ``--json`` also write them."""
    terminal.prepare()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("configs", nargs="*", type=path_argument, help="default: a choice over all networks")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int)
    parser.add_argument(
        "--clock", choices=sorted(CLOCKS), default="wall", help="cpu: for a machine that does more"
    )
    parser.add_argument("--json", type=path_argument)
    args = parser.parse_args()
    try:
        outputs.check({"--json": args.json}, {})
    except BnnError as error:
        parser.error(str(error))
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    random.seed(0)
    rows = []
    print(
        f"{'config':<32}{'batch':>6}{'binary ms':>12}{'real ms':>12}{'ratio':>8}   {args.threads} thread(s)"
    )
    for config in args.configs or [CONFIGS / name for name in DEFAULT]:
        row = compare(config.absolute(), args.batch, args.rounds, CLOCKS[args.clock])
        rows.append(row)
        print(
            f"{row['config']:<32}{row['batch']:>6}{row['binary_ms']:>12}{row['real_ms']:>12}{row['ratio']:>8}",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
