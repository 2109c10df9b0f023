"""``bnn-predict``: the classes of image files, by a checkpoint or a packed file.

torch is imported for checkpoints alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bnn_train.cli import outputs, terminal
from bnn_train.cli.checkpoints import find_own
from bnn_train.cli.common import add_common, guarded, path_argument, say, verbosity
from bnn_train.cli.predict_formats import FORMATS, format_of
from bnn_train.errors import EXIT_USER_ERROR, BnnError
from bnn_train.files import write_atomic
from bnn_train.prediction import Prediction, classifier, predict

_EXAMPLE = """examples, of a run and of a packed file:
  bnn-predict runs/photos holiday.jpg
  bnn-predict photos.bnn photos/test --top 3 --format csv --out found.csv"""


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="bnn-predict",
        description="Name the classes of images: the likeliest ones, with their shares of the softmax.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "model",
        metavar="MODEL",
        type=path_argument,
        help="a run folder (its best checkpoint), a checkpoint or a packed file",
    )
    p.add_argument(
        "images",
        metavar="IMAGE|FOLDER",
        type=path_argument,
        nargs="+",
        help="files; folders with all below them",
    )
    p.add_argument("--top", metavar="K", type=int, default=5, help="classes for each image; default 5")
    p.add_argument("--format", choices=sorted(FORMATS), help="default: by the ending of --out, else table")
    p.add_argument("--out", metavar="F", type=path_argument, help="write there, not to the terminal")
    p.add_argument(
        "--fit",
        action="store_true",
        help="resize and crop images for a model that takes those of its own size alone, like MNIST's",
    )
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="checkpoints alone")
    p.add_argument("--kernel", metavar="NAME", help="packed files: reference, portable, avx2, avx512 or neon")
    p.add_argument("--threads", metavar="N", type=int, help="packed files; default 1")
    add_common(p, "bnn-predict model.bnn photos --top 3")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    p = parser()
    args = p.parse_args(argv)
    verbosity(args)
    for name in ("top", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            p.error(f"--{name} must be at least 1")
    faults: list[str] = []
    return guarded(lambda: _run(args, faults)) or (EXIT_USER_ERROR if faults else 0)


def _run(args: argparse.Namespace, faults: list[str]) -> None:
    """Print or write the answers; sentences on images at fault are added to ``faults``."""
    written = FORMATS[format_of(args.format, args.out)]
    outputs.check({"--out": args.out}, {"MODEL": args.model if args.model.is_file() else None})
    model = classifier(find_own(args.model), device=args.device, threads=args.threads, kernel=args.kernel)
    found = list(predict(model, args.images, args.top, fit=args.fit))
    text = written(found)
    if args.out is None:
        print(text, end="")
    else:
        write_atomic(args.out, text)
    say(f"{args.model}: {model.title}, {len(model.classes)} classes; images: {len(found)}")
    for line in _score(found, model.classes):
        say(line)
    faults += [prediction.error for prediction in found if prediction.error is not None]
    for fault in faults:
        say(f"error: {fault}")
    if len(faults) == len(found):
        raise BnnError("none of the images could be read")


def _score(found: Sequence[Prediction], classes: Sequence[str]) -> list[str]:
    """How many are right, where images lie in folders of their classes' names."""
    told = [p for p in found if p.error is None and p.path.absolute().parent.name in classes]
    right = sum(p.path.absolute().parent.name == p.label for p in told)
    if not told:
        return []
    share = 100 * right / len(told)
    return [f"right: {right} of {len(told)} ({share:.2f} %), by the names of the folders"]


if __name__ == "__main__":
    sys.exit(main())
