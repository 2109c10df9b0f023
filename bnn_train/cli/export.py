"""``bnn-export``: a checkpoint → a packed file that is proved equal to it, and a report on what it weighs; or
another format, made from that packed file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnn_train.cli import cards, formats, outputs, terminal
from bnn_train.cli.checkpoints import find_own, is_packed
from bnn_train.cli.common import add_common, guarded, path_argument, say, verbosity
from bnn_train.errors import ExportError
from bnn_train.export.targets import folders
from bnn_train.export.targets.needs import demand
from bnn_train.export.targets.options import parsed
from bnn_train.export.targets.table import DEFAULT, TARGETS
from bnn_train.export.targets.target import Content, Target
from bnn_train.files import write_atomic
from bnn_train.packed import container
from bnn_train.report.files import plain
from bnn_train.spec.record import Record


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="bnn-export",
        description="Pack a trained network into one small file, once both agree on real images; or write"
        " it in another format.",
        epilog=formats.epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "--checkpoint",
        metavar="RUN|FILE",
        type=path_argument,
        required=True,
        help="a run folder, a checkpoint, or (for other formats) a packed file",
    )
    p.add_argument(
        "--out",
        metavar="PATH",
        type=path_argument,
        required=True,
        help="what is written, e.g. model.bnn; its ending chooses the format",
    )
    p.add_argument("--format", choices=tuple(TARGETS), help="where the ending does not choose it; see below")
    p.add_argument(
        "--with",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="an option of the format; may be repeated",
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
    p.add_argument(
        "--card", action="store_true", help="write a model card (README.md, for a model hub) beside --out"
    )
    p.add_argument(
        "--card-license",
        metavar="ID",
        default="unknown",
        help="the licence of the weights on the card, by the hub's identifier, e.g. mit (unknown)",
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
    return guarded(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """The command behind its options. Raises BnnError."""
    path = find_own(args.checkpoint)
    target = formats.choose(args.out, args.format)
    options = parsed(target, args.settings)
    written = {} if target.is_folder else {"--out": args.out}
    outputs.check({**written, "--report": args.report}, {"--checkpoint": path})
    if target.is_folder:
        folders.check(args.out, target.name)
    if target is DEFAULT:
        formats.check_ending(args.out)
    if args.card:
        outputs.check({"--card": cards.check(args.out, target)}, {"--checkpoint": path})
    demand(f"--format {target.name}", target.packages, target.extra)
    if is_packed(path):
        _convert(path, target, options, args)
    else:
        _export(path, target, options, args)


def _export(path: Path, target: Target, options: Record, args: argparse.Namespace) -> None:
    import torch

    from bnn_train.cli.export_report import collect, lines
    from bnn_train.export.run import Export

    torch.set_num_threads(args.threads)
    export = Export(path, args)
    for note in export.lowered.notes:
        say(f"note: {note}")
    parity = export.compare()
    told = target.write(export.proven, args.out, options)
    report = collect(export, parity, args.out, latency=not args.no_latency)
    print("\n".join([*lines(report), *told, f"written: {args.out}"]))
    if args.card:
        compared = report["parity"]
        others = compared["touched_top1"] + compared["close_calls"]
        said = (
            f"The packed network was compared with the trained one on {compared['images']}"
            f" images ({compared['origin']}): {others} other answers"
        )
        _card(args, target, export.proven, path.absolute().parent.parent, f"{said}.")
    if args.report:
        _write_json(args.report, {**report, "format": target.name, "told": list(told)})


def _convert(path: Path, target: Target, options: Record, args: argparse.Namespace) -> None:
    """A packed file in another format: it was compared with its checkpoint when it was made."""
    if target is DEFAULT:
        raise ExportError(
            f"{path}: is packed already; bnn-export takes the run or the checkpoint that it was made from"
        )
    for name in ("first", "last", "real", "binarize", "parity_data"):
        if getattr(args, name) != parser().get_default(name):
            raise ExportError(
                f"{path}: is packed already, its weights and its comparison are settled; leave out"
                f" --{_OPTIONS.get(name, name).replace('_', '-')}, or give the run that it was made from"
            )
    content = Content(*container.read(path))
    told = target.write(content, args.out, options)
    print("\n".join([*told, f"written: {args.out}"]))
    if args.card:
        _card(args, target, content, None, "")
    if args.report:
        header = content.header
        report = {"checkpoint": str(path), "out": str(args.out), "method": header.method}
        _write_json(args.report, {**report, "model": header.model, "format": target.name, "told": list(told)})


def _card(args: argparse.Namespace, target: Target, content: Content, run: Path | None, parity: str) -> None:
    print(f"card: {cards.write(args.out, target, content, args.card_license, run, parity)}")


_OPTIONS = {"first": "first_layer", "last": "last_layer", "real": "other_real_layers"}


def _write_json(path: Path, report: dict[str, Any]) -> None:
    write_atomic(path, json.dumps(plain(report), indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
