"""Somebody else's trained weights as a checkpoint of ours: to evaluate, to export, to start from.

import_weights.py nin.pth.tar --config cifar10/xnor_nin --names xnor_net_pytorch_nin --out n.safetensors
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from bnn_train.cli import outputs, terminal
from bnn_train.cli.common import guarded, path_argument, say
from bnn_train.config.loader import load
from bnn_train.config.local import portable
from bnn_train.config.schema import Experiment, InitFrom
from bnn_train.data.normalize import Normalizer
from bnn_train.data.open import open_data
from bnn_train.errors import CheckpointError
from bnn_train.inspect import diagnostics
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.inputs import input_shape, num_classes
from bnn_train.training.checkpoint import Checkpoint, write
from bnn_train.training.progress import Progress
from bnn_train.training.setup import build_model
from bnn_train.training.stages import compared
from importing.foreign import names_of, renamed, tensors_of

CPU = torch.device("cpu")


def parser() -> argparse.ArgumentParser:
    """The script's options."""
    p = argparse.ArgumentParser(description="Make a checkpoint of other people's trained weights.")
    p.add_argument(
        "weights", metavar="FILE", type=path_argument, help="what torch.save wrote, or safetensors"
    )
    p.add_argument(
        "--config", metavar="F", type=path_argument, required=True, help="the network that they fit"
    )
    p.add_argument("--set", metavar="A.B=C", action="append", default=[], help="as for bnn-train")
    p.add_argument(
        "--names", metavar="MAP", help="a layout (scripts/importing/layouts), or a YAML file: theirs: ours"
    )
    p.add_argument("--out", metavar="F", type=path_argument, required=True, help="e.g. weights.safetensors")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    args = parser().parse_args(argv)
    return guarded(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    outputs.check({"--out": args.out}, {"FILE": args.weights})
    if args.out.suffix != ".safetensors":
        raise CheckpointError(f"{args.out}: a checkpoint's name ends in .safetensors")
    tensors = tensors_of(args.weights)
    if args.names:
        tensors = renamed(tensors, names_of(args.names))
    write(args.out, imported(load(args.config, args.set), tensors, args.weights))
    print(f"written: {args.out}; score it by bnn-eval --checkpoint {args.out}")


def imported(experiment: Experiment, tensors: dict[str, torch.Tensor], path: Path) -> Checkpoint:
    """The checkpoint of a network of this config with these weights, as a run would have saved it.

    Only numbers of norms may be missing. No latent rule is held, since the network has been trained.

    Raises RunError for shapes that differ, CheckpointError for what is missing.
    """
    shape = input_shape(experiment.data)
    classes = DATASETS[experiment.data.name].classes or tuple(map(str, range(num_classes(experiment.data))))
    training = experiment.training.model_copy(update={"ema": 0.0, "init_from": None})
    experiment = experiment.model_copy(update={"training": training})
    model = build_model(experiment, shape, len(classes), CPU)
    matched = compared(model, tensors, InitFrom(checkpoint=str(path)))
    norms = {
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    }
    lost = [name for name in matched.missed if name.rpartition(".")[0] not in norms]
    if lost:
        raise CheckpointError(
            f"{path}: has nothing for {', '.join(lost[:4])} of the network; its tensors are"
            f" {', '.join(list(tensors)[:8])}"
        )
    say(matched.told())
    own = model.state_dict()
    model.load_state_dict({**own, **{name: tensors[name].to(own[name].dtype) for name in matched.took}})
    normalizer = Normalizer.of(experiment.data, CPU)
    if normalizer.needs_fit:
        normalizer = open_data(experiment.data, seed=experiment.seed, device=CPU).normalizer
    held = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    held |= {f"preprocess.{name}": tensor for name, tensor in normalizer.state().items()}
    held |= {f"signs.{name}": codes for name, codes in diagnostics.packed_codes(model).items()}
    state = {
        "experiment": portable(experiment),
        "classes": list(classes),
        "shape": list(shape),
        "progress": Progress().to_json(),
        "scaler": {},
        "steps_per_epoch": None,
    }
    return Checkpoint(held, state)


if __name__ == "__main__":
    sys.exit(main())
