"""Every format of export, run by its own consumer on all test images of a data set: answers, logits and sizes
against the packed file that it was made from, as the table of ``bnn_train/export/targets/README.md``.

    python scripts/export_formats.py --root DATA --model mlp.bnn [--model …] [--formats onnx,torch]
        [--page bnn_train/export/targets/README.md]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from bnn_train.aligned import aligned
from bnn_train.cli import terminal
from bnn_train.cli.eval_data import open_split
from bnn_train.config.loader import from_mapping
from bnn_train.config.local import located
from bnn_train.data.pixels import pixel_batches
from bnn_train.errors import BnnError
from bnn_train.export.targets.needs import demand
from bnn_train.export.targets.options import parsed
from bnn_train.export.targets.table import DEFAULT, TARGETS
from bnn_train.export.targets.target import Content, Target
from bnn_train.packed import container
from bnn_train.packed.program import Header

BEGIN, END = "<!-- scripts/export_formats.py -->", "<!-- end -->"
SETTINGS = {"qonnx": ("batch=250",)}
"""For speed alone."""
HEAD = ("network", "format", "run by", "top-1 %", "other answers", "other logits", "bytes", "µs/image")


@dataclass(frozen=True)
class Images:
    """A test split."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """A format's logits for all images."""

    runtime: str
    logits: NDArray[np.float32]
    size: int
    seconds: float


def test_images(header: Header, folder: Path, root: str) -> Images:
    """All images of the test split that a packed file's config names."""
    experiment = from_mapping(located(header.experiment, folder))
    section = experiment.data.model_copy(update={"normalize": ()})
    cpu = torch.device("cpu")
    data = open_split(section, "test", {"root": root}, seed=experiment.seed, device=cpu, preprocess={})
    pairs = [(pixels, labels.numpy()) for pixels, labels in pixel_batches(data, "test")]
    pixels, labels = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return Images(pixels, labels)


def answers(target: Target, content: Content, pixels: NDArray[np.uint8]) -> Answers:
    """A network written in a format, opened, and asked for all images."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"model{target.endings[0] if target.endings else ''}"
        target.write(content, path, parsed(target, SETTINGS.get(target.name, ())))
        if target.open is None:
            raise BnnError(f"{target.name}: bnn-eval does not run it")
        opened = target.open(path)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        start = time.perf_counter()
        logits = opened.logits(pixels)
        return Answers(opened.runtime, logits, size, time.perf_counter() - start)


def rows(content: Content, images: Images, formats: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """One line for each format that can be run here, the packed file first."""
    header, right = content.header, answers(DEFAULT, content, images.pixels)
    data = header.experiment["data"]
    name = f"{data['name'] if isinstance(data, dict) else ''} {header.method} {header.model}"
    for target in TARGETS.values():
        if target.name not in formats:
            continue
        try:
            demand(target.name, target.packages, target.extra)
            found = right if target is DEFAULT else answers(target, content, images.pixels)
        except BnnError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        yield (name, target.name, found.runtime, *_compared(found, right, images))


def _compared(found: Answers, right: Answers, images: Images) -> tuple[str, ...]:
    correct = float((found.logits.argmax(1) == images.labels).mean())
    others = int((found.logits.argmax(1) != right.logits.argmax(1)).sum())
    logits, most = int((found.logits != right.logits).sum()), float(np.abs(found.logits - right.logits).max())
    largest = float(np.abs(right.logits).max())
    apart = f"{logits:,} (by {most / largest:.0e})" if logits else "0"
    return (
        f"{100 * correct:.2f}",
        f"{others:,} of {len(images.labels):,}",
        f"{apart} of {right.logits.size:,}",
        f"{found.size:,}",
        f"{1e6 * found.seconds / len(images.labels):,.0f}",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    terminal.prepare()
    p = argparse.ArgumentParser(description="Run every format of export on all test images.")
    p.add_argument("--model", metavar="FILE.bnn", type=Path, action="append", required=True)
    p.add_argument("--root", metavar="FOLDER", required=True, help="where the data sets are")
    p.add_argument("--formats", default=",".join(TARGETS), help="names with commas between; default: all")
    p.add_argument("--page", metavar="FILE", type=Path, help="put the table in there, too")
    args = p.parse_args(argv)
    torch.set_num_threads(1)
    table: list[tuple[str, ...]] = []
    for path in args.model:
        content = Content(*container.read(path))
        images = test_images(content.header, path.absolute().parent, args.root)
        for row in rows(content, images, args.formats.split(",")):
            table.append(row)
            print("\t".join(row), flush=True)
    print("\n".join(aligned(HEAD, table, (0, 1, 2))))
    if args.page:
        _put(args.page, table)
    return 0


def _put(page: Path, table: Sequence[tuple[str, ...]]) -> None:
    """Between the marks of the page."""
    text = page.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    lines = [_line(HEAD), _line(["---", "---", "---", *["---:"] * 5]), *map(_line, table)]
    page.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
