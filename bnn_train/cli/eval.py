"""``bnn-eval``: a checkpoint, a packed file or another export → its top-1, from that file alone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bnn_train.cli import outputs, terminal
from bnn_train.cli.checkpoints import find, is_packed
from bnn_train.cli.common import add_common, guarded, path_argument, say, verbosity
from bnn_train.colours import coloured
from bnn_train.errors import BnnError
from bnn_train.export.targets.table import recognised
from bnn_train.export.targets.target import Target
from bnn_train.files import write_atomic

if TYPE_CHECKING:
    from bnn_train.cli.eval_runs import Scored


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="bnn-eval",
        description="Evaluate a checkpoint, a packed file or another export, with the preprocessing stored in"
        " it.",
    )
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--checkpoint",
        metavar="RUN|FILE",
        type=path_argument,
        help="a run folder (its best checkpoint), a checkpoint, a packed file or what bnn-export wrote",
    )
    what.add_argument(
        "--profile",
        metavar="FILE.bnn",
        type=path_argument,
        help="instead: a packed file's steps, their times and this machine's limits; on images of --root,"
        " else on noise",
    )
    p.add_argument("--split", choices=("test", "validation", "train"), default="test")
    p.add_argument("--root", metavar="FOLDER", help="where the images are, if not where the run found them")
    p.add_argument("--batch-size", metavar="N", type=int, help="does not change the result")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    p.add_argument("--kernel", metavar="NAME", help="packed files: reference, portable, avx2, avx512 or neon")
    p.add_argument("--threads", metavar="N", type=int, help="packed files; default 1")
    p.add_argument("--json", metavar="F", type=path_argument, help="write the counts there too")
    add_common(p, "bnn-eval --checkpoint runs/quickstart")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    p = parser()
    args = p.parse_args(argv)
    verbosity(args)
    for name in ("batch_size", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            p.error(f"--{name.replace('_', '-')} must be at least 1")
    return guarded(lambda: _run(args) if args.profile is None else _profile(args))


def _run(args: argparse.Namespace) -> None:
    path = find(args.checkpoint)
    outputs.check({"--json": args.json}, {"--checkpoint": path})
    scored = _scored(path, args)
    result = scored.evaluation
    say(f"{path}: {scored.title}, {args.split} split of {scored.data}, {result.total} images")
    for note in scored.notes:
        say(f"note: {note}")
    low, high = result.interval()
    print(f"loss {result.loss:.4f}")
    if len(result.class_totals) > 5:  # of five or fewer, it is always right
        print(f"top-5 {result.top5:.2f} %")
    print(f"95 % interval of top-1: {low:.2f}–{high:.2f} %")
    print(f"speed {result.total / scored.seconds:,.0f} images/s")
    print(coloured(f"top-1 {result.top1:.2f} %", sys.stdout))
    if args.json:
        _write_json(
            args.json,
            {"top1": result.top1, "top5": result.top5, "correct": result.top1_correct, "total": result.total},
        )


def _profile(args: argparse.Namespace) -> None:
    from bnn_train.cli.eval_profile import run_profile

    outputs.check({"--json": args.json}, {"--profile": args.profile})
    if args.device == "cuda":
        raise BnnError("a packed file runs on the CPU; leave out --device cuda")
    if args.threads not in (None, 1):
        raise BnnError("--profile times one thread; leave out --threads")
    run_profile(
        args.profile,
        kernel=args.kernel,
        count=args.batch_size or 1,
        split=args.split,
        changes={} if args.root is None else {"root": args.root},
        to=args.json,
    )


def _scored(path: Path, args: argparse.Namespace) -> Scored:
    from bnn_train.cli.eval_runs import score_checkpoint, score_opened, score_packed

    changes = {"root": args.root, "eval_batch_size": args.batch_size}
    changes = {key: value for key, value in changes.items() if value is not None}
    if is_packed(path):
        if args.device == "cuda":
            raise BnnError("a packed file runs on the CPU; leave out --device cuda")
        return score_packed(path, args.split, changes, kernel=args.kernel, threads=args.threads or 1)
    target = recognised(path)
    if target is not None and target.open is not None:
        _refuse_settings(target, args)
        return score_opened(path, target.open(path), args.split, changes)
    if args.kernel or args.threads:
        raise BnnError("--kernel and --threads are for packed files; make one with bnn-export")
    return score_checkpoint(path, args.split, changes, device=args.device)


def _refuse_settings(target: Target, args: argparse.Namespace) -> None:
    if args.kernel or args.threads or args.device == "cuda":
        given = "--kernel" if args.kernel else "--threads" if args.threads else "--device cuda"
        raise BnnError(
            f"{target.name} is run by its own runtime, on one thread of the CPU; leave out {given}"
        )


def _write_json(path: Path, value: dict[str, float]) -> None:
    write_atomic(path, json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
