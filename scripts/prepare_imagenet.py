"""Image folders as tar files in WebDataset's format, which `data` reads like the folders themselves.

    python scripts/prepare_imagenet.py data/imagenet data/prepared                     # the files' own bytes
    python scripts/prepare_imagenet.py data/imagenet data/raw --store raw --side 256   # nothing to decode
    python scripts/prepare_imagenet.py data/raw --verify

Then ``--set data.root=data/prepared``. Order, augmentation and validation split are those of the files. With
the files' own bytes every pixel is, too; resized ones lose detail: a crop of an eighth of the area is
enlarged from fewer pixels. Stopped at any point, the same command goes on. ROOT holds train/<class>/ and
val/<class>/.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from bnn_train.cli import terminal
from bnn_train.cli.common import guarded, path_argument, say
from bnn_train.data.folder import Listing, list_folder
from bnn_train.data.randomness import permutation
from bnn_train.data.shards import FORMAT, INDEX, MANIFEST, Form, fingerprint, is_sharded, open_shards
from bnn_train.errors import DataError
from bnn_train.files import write_atomic
from bnn_train.spec.data import Data
from preparing.shard import Row, Task, digest, faults, name_of, rows_of, write

PLAN = "plan.json"
"""How a part is prepared; while it is unfinished, another plan is refused."""


def prepare(args: argparse.Namespace) -> None:
    """Write every part that is there."""
    parts = [name for name in args.parts if (args.root / name).is_dir()]
    if not parts:
        raise DataError(f"{args.root}: holds none of {', '.join(args.parts)}; name its folders by --parts")
    config = Data(name="imagenet", root=str(args.root))
    form = Form(args.store)
    if args.store != "original":
        form = Form(args.store, args.side, args.quality if args.store == "jpeg" else None, args.exif)
    for name in parts:
        _prepare_part(list_folder(config, args.root / name, name), args.out / name, form, args)


def _prepare_part(listing: Listing, folder: Path, form: Form, args: argparse.Namespace) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    paths = listing.paths.tolist()
    plan = {
        "format": FORMAT,
        "form": form._asdict(),
        "fingerprint": fingerprint(paths, form),
        "images": len(paths),
        "per_file": args.per_file,
    }
    if is_sharded(folder):
        _refuse_other(folder / MANIFEST, plan)
        say(f"{folder}: finished before; --verify reads it again")
        return
    _refuse_other(folder / PLAN, plan)
    write_atomic(folder / PLAN, json.dumps(plan, indent=1))
    # A fixed order at random, so that whoever streams the files meets all classes early.
    order = permutation(0, 0, len(paths)).tolist()
    chunks = [order[at : at + args.per_file] for at in range(0, len(order), args.per_file)]
    tasks = [Task(listing, chunk, form, folder / name_of(i)) for i, chunk in enumerate(chunks)]
    rows = list(_written(tasks, args.jobs))
    _finish(listing, folder, plan, tasks, rows)
    lost = sum(row.damaged for file in rows for row in file)
    told = f"; {lost:,} could not be decoded and are kept as they were" if lost else ""
    say(f"{folder}: {len(paths):,} images in {len(tasks):,} tar files, {form.told()}{told}")


def _refuse_other(path: Path, plan: dict[str, object]) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); remove its folder to prepare it anew") from None
    other = [key for key, value in plan.items() if found.get(key) != value]
    if other:
        raise DataError(
            f"{path}: prepared from other images or with other options ({', '.join(other)}); give another"
            " folder, or remove this one"
        )


def _written(tasks: list[Task], jobs: int) -> Iterator[list[Row]]:
    """The rows of each tar file, those already there not written again."""
    there = [rows_of(task.to) for task in tasks]
    missing = [task for task, rows in zip(tasks, there, strict=True) if rows is None]
    if len(missing) < len(tasks):
        say(f"{tasks[0].to.parent}: {len(tasks) - len(missing):,} of {len(tasks):,} tar files are there")
    with ProcessPoolExecutor(jobs) as pool:
        fresh = pool.map(write, missing) if jobs > 1 else map(write, missing)
        for rows in there:
            yield next(fresh) if rows is None else rows


def _finish(
    listing: Listing, folder: Path, plan: dict[str, object], tasks: list[Task], rows: list[list[Row]]
) -> None:
    """The index and, last, the manifest, without which the folder is none of shards."""
    numbered = [(row, number) for number, file in enumerate(rows) for row in file]
    numbered.sort(key=lambda pair: pair[0].image)
    index = io.BytesIO()
    np.savez(
        index,
        paths=listing.paths,
        labels=listing.labels,
        shard=np.array([number for _, number in numbered], np.int32),
        offset=np.array([row.offset for row, _ in numbered], np.int64),
        size=np.array([row.size for row, _ in numbered], np.int64),
        crc32=np.array([row.crc32 for row, _ in numbered], np.uint32),
    )
    write_atomic(folder / INDEX, index.getvalue())
    files = [
        {"file": to.name, "images": len(images), "bytes": to.stat().st_size, "sha256": digest(to)}
        for _, images, _, to in tasks
    ]
    manifest = {**plan, "classes": listing.classes, "shards": files}
    write_atomic(folder / MANIFEST, json.dumps(manifest, indent=1))
    for task in tasks:
        task.to.with_suffix(".rows.npy").unlink(missing_ok=True)
    (folder / PLAN).unlink(missing_ok=True)


def verify(root: Path) -> None:
    """Read every byte of prepared folders again. Raises DataError where something is wrong."""
    found = 0
    parts = [path for path in (root, *sorted(root.iterdir())) if is_sharded(path)]
    if not parts:
        raise DataError(f"{root}: holds no finished tar files ({MANIFEST}); prepare it first")
    for folder in parts:
        shards, _ = open_shards(folder)
        digests = [
            shard["sha256"] for shard in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["shards"]
        ]
        for number, sha256 in enumerate(digests):
            for fault in faults(shards, number, sha256):
                found += fault.written
                print(fault.told)
        print(f"{folder}: {len(shards.columns['labels']):,} images in {len(digests):,} tar files read")
    if found:
        raise DataError(f"{root}: {found:,} faults")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    parser = argparse.ArgumentParser(prog="prepare_imagenet.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", type=path_argument, help="the image folders, or with --verify what was made")
    parser.add_argument("out", type=path_argument, nargs="?", help="the folder to make")
    parser.add_argument("--parts", nargs="+", default=["train", "val", "test"], metavar="FOLDER")
    parser.add_argument("--store", choices=("original", "jpeg", "raw"), default="original")
    parser.add_argument("--side", type=int, default=256, help="jpeg, raw: the most pixels of a shorter side")
    parser.add_argument("--quality", type=int, default=95, help="jpeg: 1 to 100 (default 95, 4:4:4)")
    parser.add_argument("--exif", choices=("ignore", "apply"), default="ignore", help="as data.exif will be")
    parser.add_argument("--per-file", type=int, default=1000, help="images in a tar file (default 1000)")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--verify", action="store_true", help="read what was made and say what is wrong")
    args = parser.parse_args(argv)
    if (args.out is None) != args.verify:
        parser.error("give ROOT and OUT, or ROOT and --verify")
    for name, most in (("side", 4096), ("quality", 100), ("per_file", 10**6), ("jobs", 1024)):
        if not 1 <= getattr(args, name) <= most:
            parser.error(f"--{name.replace('_', '-')} must lie between 1 and {most}")
    return guarded(lambda: verify(args.root) if args.verify else prepare(args))


if __name__ == "__main__":
    sys.exit(main())
