"""Images a second and core of the data pipeline, beside torchvision's transforms on the same images.

    python scripts/bench_data.py FOLDER [--rounds 7]      # photographs in class folders, as ImageNet's train/
    python scripts/bench_data.py --small

Photographs: a training batch at 224 pixels (random_resized_crop) by torchvision and by us, from files with
each decoder and from tar files of each kind; pictures of a validation, decoded each time or once. Small
images: batches of CIFAR-10's size with pad_crop_flip and normalization, whole on the device, by us, and image
by image by torchvision. One thread; ways in turns in random order; the median over the rounds of the
process's own CPU time, which a busy machine stretches less.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import torch

import prepare_imagenet
from bnn_train.cli import terminal
from bnn_train.cli.common import guarded, path_argument
from bnn_train.compat import import_torchvision
from bnn_train.config.schema import Data, MeanStd, PadCropFlip
from bnn_train.data.folder import list_folder
from bnn_train.data.loader import Pictures
from bnn_train.data.normalize import Normalizer
from bnn_train.data.resident import Kept
from bnn_train.data.sources import FolderSource, TensorSource
from bnn_train.errors import DataError
from bnn_train.memory import keep_freed_memory
from bnn_train.packed import jpeg
from bnn_train.spec.augment import RandomResizedCrop

Way = Callable[[int], object]
"""A pass over the images in the given epoch."""
SIZE, MOST, CIFAR, BATCH = 224, 200, 10_000, 128
CPU = torch.device("cpu")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def measured(ways: dict[str, Way], images: int, rounds: int) -> None:
    """Print a Markdown table: images a second, and over the first way."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in random.sample(list(ways), len(ways)):
            started = time.process_time()
            ways[name](number)
            if number:  # the first warms up
                times[name].append(time.process_time() - started)
    medians = {name: statistics.median(found) for name, found in times.items()}
    first = next(iter(medians.values()))
    print(f"| {images:,} images, median of {rounds} | images/s and core | |\n| --- | ---: | ---: |")
    for name, seconds in medians.items():
        print(f"| {name} | {images / seconds:,.0f} | {first / seconds:.2f} |", flush=True)


def photographs(folder: Path, root: Path) -> Iterator[tuple[str, Way]]:
    """Ways to make training pictures of the images in class folders; tar files of them go below ``root``."""
    config = Data(name="imagenet", root=str(folder))
    files = list_folder(config, folder, "train")
    chosen = np.unique(np.linspace(0, len(files.labels) - 1, MOST).astype(int)).tolist()
    yield "torchvision, PIL", _torchvision([files.path(i) for i in chosen])
    (root / "images").mkdir()
    (root / "images" / "train").symlink_to(folder.absolute())
    listings = {"files": files}
    for store in ("original", "jpeg", "raw"):
        arguments = [root / "images", root / store, "--store", store, "--parts", "train"]
        if prepare_imagenet.main([str(argument) for argument in arguments]):
            raise DataError(f"{folder}: could not be prepared")
        listings[f"tar files, {store}"] = list_folder(config, root / store / "train", "train")
    crop, fast = RandomResizedCrop(name="random_resized_crop"), jpeg.library() is not None
    for name, listing in listings.items():
        way = _ours(Pictures(listing, SIZE, 256, crop, 0), chosen)
        decoder = "" if name.endswith("raw") else ", simplejpeg" if fast else ", PIL"
        yield f"ours, {name}{decoder}", way
        if name == "files" and fast:
            yield "ours, files, PIL", _without_library(way)
    for name, stays in (("from files", False), ("resident", True)):
        yield f"ours, validation {name}", _validation(Pictures(files, SIZE, 256, crop, 0), chosen, stays)


def _validation(pictures: Pictures, chosen: list[int], stays: bool) -> Way:
    positions = np.array(chosen, dtype=np.int64)
    source = FolderSource(pictures, 0, CPU, Kept(positions, stays, CPU))
    return lambda _: [labels.sum() for _, labels in source.batches(positions, None, BATCH)]


def _ours(pictures: Pictures, chosen: list[int]) -> Way:
    return lambda epoch: pictures.__getitems__([(i, epoch) for i in chosen])


def _without_library(way: Way) -> Way:
    def slow(epoch: int) -> object:
        with mock.patch.object(jpeg, "library", return_value=None):
            return way(epoch)

    return slow


def _torchvision(paths: list[Path]) -> Way:
    import_torchvision()
    from torchvision import transforms
    from torchvision.datasets.folder import default_loader

    steps = [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip(), transforms.PILToTensor()]
    made = transforms.Compose(steps)
    return lambda _: torch.stack([made(default_loader(str(path))) for path in paths])


def small_images() -> Iterator[tuple[str, Way]]:
    """Ways to make training batches of random pixels of CIFAR-10's size."""
    pixels = torch.randint(0, 256, (CIFAR, 3, 32, 32), dtype=torch.uint8)
    yield "torchvision, PIL", _torchvision_small(pixels)
    source = TensorSource(
        pixels, torch.zeros(CIFAR, dtype=torch.int64), (PadCropFlip(name="pad_crop_flip"),), 0
    )
    steps = (MeanStd(name="mean_std"),)
    normalizer = Normalizer(steps, shape=(3, 32, 32), mean=MEAN, std=STD, device=CPU)

    def ours(epoch: int) -> object:
        order = np.random.default_rng(epoch).permutation(CIFAR)
        return [normalizer(images).shape for images, _ in source.batches(order, epoch, BATCH)]

    yield "ours, resident, in batches", ours


def _torchvision_small(pixels: torch.Tensor) -> Way:
    import_torchvision()
    from PIL import Image
    from torchvision import transforms

    images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in pixels]
    flip = transforms.RandomHorizontalFlip()
    numbers = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    made = transforms.Compose([transforms.RandomCrop(32, 4), flip, *numbers])

    def theirs(epoch: int) -> object:
        order = np.random.default_rng(epoch).permutation(CIFAR).tolist()
        batches = [order[at : at + BATCH] for at in range(0, CIFAR, BATCH)]
        return [torch.stack([made(images[i]) for i in batch]).shape for batch in batches]

    return theirs


def run(args: argparse.Namespace) -> None:
    """Measure what was asked for."""
    torch.set_num_threads(1)
    keep_freed_memory()
    random.seed(0)
    if args.folder is not None:
        count = min(MOST, len(list_folder(Data(name="imagenet"), args.folder, "train").labels))
        with tempfile.TemporaryDirectory() as place:
            measured(dict(photographs(args.folder, Path(place))), count, args.rounds)
    if args.small or args.folder is None:
        measured(dict(small_images()), CIFAR, args.rounds)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    parser = argparse.ArgumentParser(prog="bench_data.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=path_argument, help="class folders of photographs")
    parser.add_argument("--small", action="store_true", help="small images, too")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    return guarded(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
