"""Hours that recipes would take on one GPU, derived from their multiply-accumulates; nothing is measured.

    python scripts/derived_cost.py [--write] CONFIG ...

A recipe's products, three passes over the network for every image it shows and one over each network that it
learns from, at the rate at which an NVIDIA A100 (80 GB) trains ResNet-50 in mixed precision: 2,470 images/s
of 4.09 GMAC (DeepLearningExamples, resnet50v1.5, release 21.03; 938 in TF32). It holds for
``training.amp=bf16`` if binarizing costs nothing beside the products, and if the images are decoded as fast.
Stages that a recipe starts from have their own lines. ``--write`` puts the line into ``reference.cost``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from bnn_train.cli import terminal
from bnn_train.cli.common import guarded, path_argument
from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.errors import RunError
from bnn_train.files import write_atomic
from bnn_train.inspect.layers import layer_table, total
from bnn_train.models.build import build
from bnn_train.spec.inputs import input_shape
from bnn_train.spec.networks import Network
from bnn_train.spec.terms import Apprentice
from recipe_cost import images_of

CLASSES = 1000
IMAGES_S, RESNET50_MACS = 2470, 4.09e9
PASSES = 3
"""Forward, and backward to inputs and to weights."""
NO_TRAINING = "none, nothing is trained"
_COST = re.compile(rf"^  cost: (?:not measured|about .* derived.*|{NO_TRAINING})$", re.MULTILINE)


def macs(experiment: Experiment, model: Network) -> int:
    """Multiply-accumulates of one image through a network, as training computes them."""
    shape = input_shape(experiment.data)
    with torch.device("meta"):
        built = build(model, experiment.method, shape, CLASSES)
    return total(layer_table(built, shape)).macs


def hours(path: Path) -> float:
    """Of one A100, for the whole recipe."""
    experiment = load(path)
    per_image = PASSES * macs(experiment, experiment.model)
    for term in experiment.loss.terms:
        if isinstance(term, Apprentice):
            per_image += PASSES * macs(experiment, term.model)
        elif (teacher := getattr(term, "teacher", None)) is not None:
            learned = load(path.with_name(f"{Path(teacher.checkpoint).name}.yaml"))
            per_image += macs(learned, learned.model)
    return images_of(experiment) * per_image / (IMAGES_S * PASSES * RESNET50_MACS) / 3600


def line(path: Path) -> str:
    """As a config tells it."""
    found = hours(path)
    if not found:
        return NO_TRAINING
    return f"about {float(f'{found:.2g}'):g} hours of one A100, derived (scripts/README.md), not measured"


def run(args: argparse.Namespace) -> None:
    """Print every recipe's line, and write it where that is asked for."""
    for path in args.configs:
        told = line(path)
        print(f"{path}: {told}", flush=True)
        if not args.write:
            continue
        text = path.read_text(encoding="utf-8")
        if len(_COST.findall(text)) != 1:
            raise RunError(f"{path}: has no line 'cost: not measured' to replace")
        write_atomic(path, _COST.sub(f"  cost: {told}", text))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    parser = argparse.ArgumentParser(prog="derived_cost.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("configs", nargs="+", type=path_argument, metavar="CONFIG")
    parser.add_argument("--write", action="store_true", help="into the configs")
    args = parser.parse_args(argv)
    return guarded(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
