"""``bnn-export``: a checkpoint → a packed file that is proved equal to it, and a report on what it weighs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnn_train.cli import outputs, terminal
from bnn_train.cli.common import add_common, guarded, path_argument, say, verbosity
from bnn_train.errors import ExportError
from bnn_train.files import write_atomic


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="bnn-export",
        description="Pack a trained network into one small file, once both agree on real images.",
    )
    p.add_argument(
        "--checkpoint", metavar="RUN|FILE", type=path_argument, required=True, help="a run folder or a file"
    )
    p.add_argument(
        "--out", metavar="F", type=path_argument, required=True, help="the packed file, e.g. model.bnn"
    )
    p.add_argument(
        "--parity-data",
        metavar="SPLIT|FOLDER",
        help="validation, test or train, or the folder of the images; default: the run's validation images,"
        " else those recorded in its folder",
    )
    p.add_argument("--parity-images", metavar="N", type=int, default=256, help="how many are compared (256)")
    p.add_argument(
        "--first-layer",
        "--first",
        dest="first",
        choices=("int24", "int16", "int8"),
        default="int24",
        help="real weights that read the image",
    )
    p.add_argument(
        "--last-layer",
        "--last",
        dest="last",
        choices=("f32", "bf16", "int8"),
        default="f32",
        help="real weights of the last layer",
    )
    p.add_argument(
        "--other-real-layers",
        "--real",
        dest="real",
        choices=("f32", "bf16"),
        default="f32",
        help="all other real weights",
    )
    p.add_argument(
        "--binarize", action="store_true", help="store signs where the evaluation uses latent weights"
    )
    p.add_argument("--report", metavar="F", type=path_argument, help="write the report there too, as JSON")
    p.add_argument("--threads", metavar="N", type=int, default=1)
    p.add_argument("--kernel", metavar="NAME", help="reference, portable, avx2, avx512 or neon")
    p.add_argument("--no-latency", action="store_true", help="leave out the measurement of speed")
    add_common(p, "bnn-export --checkpoint runs/quickstart --out model.bnn")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    p = parser()
    args = p.parse_args(argv)
    verbosity(args)
    for name in ("parity_images", "threads"):
        if getattr(args, name) < 1:
            p.error(f"--{name.replace('_', '-')} must be at least 1")
    return guarded(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    import torch

    from bnn_train.cli.checkpoints import find, is_packed
    from bnn_train.cli.export_report import collect, lines
    from bnn_train.export.run import Export

    path = find(args.checkpoint)
    outputs.check({"--out": args.out, "--report": args.report}, {"--checkpoint": path})
    outputs.check_ending(args.out)
    if is_packed(path):
        raise ExportError(
            f"{path}: is packed already; bnn-export takes the run or the checkpoint that it was made from"
        )
    torch.set_num_threads(args.threads)
    export = Export(path, args)
    for note in export.lowered.notes:
        say(f"note: {note}")
    parity = export.compare()
    export.write(args.out)
    report = collect(export, parity, args.out, latency=not args.no_latency)
    print("\n".join([*lines(report), f"written: {args.out}"]))
    if args.report:
        _write_json(args.report, report)


def _write_json(path: Path, report: dict[str, Any]) -> None:
    from bnn_train.report.files import plain

    write_atomic(path, json.dumps(plain(report), indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
