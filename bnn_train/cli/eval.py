"""``bnn-eval``: a checkpoint → its top-1, from the checkpoint alone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bnn_train import __version__
from bnn_train.cli.common import guarded, say
from bnn_train.errors import CheckpointError, DataError


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="bnn-eval", description="Evaluate a checkpoint, with the preprocessing stored in it."
    )
    p.add_argument(
        "--checkpoint",
        metavar="RUN|FILE",
        type=Path,
        required=True,
        help="a run folder (its best checkpoint) or a file",
    )
    p.add_argument("--split", choices=("test", "validation", "train"), default="test")
    p.add_argument("--root", metavar="FOLDER", help="where the images are, if not where the run found them")
    p.add_argument("--batch-size", metavar="N", type=int, help="does not change the result")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    p.add_argument("--json", metavar="F", type=Path, help="write the counts there too")
    p.add_argument("--version", action="version", version=f"bnn_train {__version__}")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    p = parser()
    args = p.parse_args(argv)
    if args.batch_size is not None and args.batch_size < 1:
        p.error("--batch-size must be at least 1")
    return guarded(lambda: _run(args))


def find(path: Path) -> Path:
    """The file to evaluate: the path itself, or the chosen checkpoint of a run folder."""
    if not path.exists():
        raise CheckpointError(f"{path}: no such run or checkpoint")
    if not path.is_dir():
        return path
    best = path / "checkpoints" / "best.safetensors"
    if not best.is_file():
        raise CheckpointError(f"{path}: no finished epoch to evaluate: {best} does not exist")
    return best


def _run(args: argparse.Namespace) -> None:
    from bnn_train.data.open import open_data
    from bnn_train.training import checkpoint as ckpt
    from bnn_train.training.compatible import same_classes
    from bnn_train.training.restore import evaluate_checkpoint, experiment_of
    from bnn_train.training.setup import choose_device

    path = find(args.checkpoint)
    checkpoint = ckpt.read(path)
    experiment = experiment_of(checkpoint)
    device = choose_device(experiment.run.model_copy(update={"device": args.device}))
    changes = {"root": args.root, "eval_batch_size": args.batch_size}
    section = experiment.data.model_copy(
        update={key: value for key, value in changes.items() if value is not None}
    )
    data = open_data(
        section,
        seed=experiment.seed,
        device=device,
        splits=(args.split,),
        preprocess=checkpoint.section("preprocess"),
    )
    same_classes(checkpoint, data)
    _, result = evaluate_checkpoint(checkpoint, data, args.split, device=device)
    say(
        f"{path}: {experiment.method.name} {experiment.model.name},"
        f" {args.split} split of {section.name}, {result.total} images"
    )
    low, high = result.interval()
    print(f"loss {result.loss:.4f}")
    print(f"top-5 {result.top5:.2f} %")
    print(f"95 % interval of top-1: {low:.2f}–{high:.2f} %")
    print(f"top-1 {result.top1:.2f} %")
    if args.json:
        _write_json(
            args.json,
            {"top1": result.top1, "top5": result.top5, "correct": result.top1_correct, "total": result.total},
        )


def _write_json(path: Path, value: dict[str, float]) -> None:
    try:
        path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
