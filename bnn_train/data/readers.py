"""The small data sets as tensors: uint8 images N×C×H×W and int64 labels, in the files' order."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bnn_train.compat import import_torchvision
from bnn_train.data.digits import digits
from bnn_train.data.files import FILES, fault
from bnn_train.data.foreign import foreign
from bnn_train.data.idx import idx
from bnn_train.data.randomness import uniform
from bnn_train.errors import DataError
from bnn_train.spec.data import Data
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.inputs import num_classes


class FileSet(NamedTuple):
    """The images and labels of one file set: train, test or extra."""

    images: Tensor
    """uint8 N×C×H×W."""
    labels: Tensor
    """int64 N."""
    digests: dict[str, str]
    """File name → digest of what was read."""


def read(config: Data, part: str) -> FileSet:
    """The images of ``train``, ``test`` or ``extra``, checked; fetched first if ``data.download`` says so."""
    reader = _READERS.get(config.name)
    return reader(config, part) if reader else _unfiled(f"{config.name}/{part}", *foreign(config, part))


# ------------------------------------------------------------------------------- published files


def _published(config: Data, part: str, torchvision_class: str, options: dict[str, Any]) -> dict[str, str]:
    """Make sure that the files are there and the published ones; returns their digests."""
    import_torchvision()
    root, files = Path(config.root), FILES[config.name][part]
    problem, ways = fault(root, files), "set data.download to true, or "
    if problem and config.download:
        ways = _download(config, torchvision_class, options)
        problem = fault(root, files)
    if problem:
        raise DataError(f"{problem}; to get {config.name}, {ways}{DATASETS[config.name].how_to_get}")
    return {file.path: f"md5:{file.md5}" for file in files}


def _download(config: Data, torchvision_class: str, options: dict[str, Any]) -> str:
    """Fetch what torchvision finds missing; returns what a sentence must say of a failure."""
    from torchvision import datasets

    try:
        with contextlib.redirect_stdout(sys.stderr):  # torchvision prints its progress
            getattr(datasets, torchvision_class)(config.root, download=True, **options)
    except Exception as error:  # it reads the files too, and trips over damaged ones that were there before
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return f"since fetching it failed ({reason}), "
    return ""


def _mnist(config: Data, part: str) -> FileSet:
    digests = _published(config, part, "MNIST", {})
    from torchvision.datasets.mnist import read_image_file, read_label_file

    images, labels = (Path(config.root) / name for name in digests)
    return FileSet(read_image_file(str(images)).unsqueeze(1), read_label_file(str(labels)), digests)


def _cifar(config: Data, part: str, torchvision_class: str) -> FileSet:
    digests = _published(config, part, torchvision_class, {})
    from torchvision import datasets

    class Batches(getattr(datasets, torchvision_class)):  # type: ignore[misc]  # torchvision has no types
        """The data set, of the files of one part alone, whose MD5 was checked above."""

        train_list: ClassVar = [[Path(name).name, ""] for name in digests]
        test_list = train_list

        def _check_integrity(self) -> bool:
            return True

        def _load_meta(self) -> None:
            """Nothing: class names come from ``spec.datasets``."""

    batches = Batches(config.root, train=part == "train")
    images = torch.from_numpy(batches.data).permute(0, 3, 1, 2).contiguous()
    return FileSet(images, torch.tensor(batches.targets, dtype=torch.int64), digests)


def _packed_idx(config: Data, part: str, torchvision_class: str) -> FileSet:
    digests = _published(config, part, torchvision_class, {})
    images, labels = ((Path(config.root) / name).read_bytes() for name in digests)
    return _arrays(idx(gzip.decompress(images))[:, None], idx(gzip.decompress(labels)), digests)


def _emnist(config: Data, part: str) -> FileSet:
    kind = config.name.removeprefix("emnist_")
    digests = _published(config, part, "EMNIST", {"split": kind})
    names = [f"gzip/emnist-{kind}-{part}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1")]
    with zipfile.ZipFile(Path(config.root) / next(iter(digests))) as archive:
        images, labels = (idx(gzip.decompress(archive.read(name))) for name in names)
    upright = images.transpose(0, 2, 1)[:, None]  # they are stored column by column
    first = 1 if kind == "letters" else 0
    return _arrays(upright, labels.astype(np.int64) - first, digests)


def _stl10(config: Data, part: str) -> FileSet:
    digests = _published(config, part, "STL10", {"split": part})
    images, labels = (np.fromfile(Path(config.root) / name, dtype=np.uint8) for name in digests)
    columns = images.reshape(-1, 3, 96, 96)  # channel by channel, each column by column
    return _arrays(columns.transpose(0, 1, 3, 2), labels.astype(np.int64) - 1, digests)


def _arrays(images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], digests: dict[str, str]) -> FileSet:
    numbers = labels.astype(np.int64)
    return FileSet(torch.from_numpy(np.array(images)), torch.from_numpy(numbers), digests)


def _svhn(config: Data, part: str) -> FileSet:
    digests = _published(config, part, "SVHN", {"split": part})
    from torchvision.datasets import SVHN

    class Matrix(SVHN):  # type: ignore[misc]  # torchvision has no types
        """SVHN whose MD5 was checked above."""

        def _check_integrity(self) -> bool:
            return True

    try:
        matrix = Matrix(config.root, split=part)
    except (ImportError, RuntimeError) as error:  # torchvision names scipy in the latter
        if "scipy" not in str(error).lower():
            raise
        raise DataError("SVHN's .mat files are read by scipy: pip install 'bnn-train[svhn]'") from None
    return FileSet(torch.from_numpy(matrix.data).contiguous(), torch.from_numpy(matrix.labels), digests)


# ------------------------------------------------------------------------------- without files


def _digits(config: Data, part: str) -> FileSet:
    return _unfiled(f"digits/{part}", *digits(part))


_SYNTHETIC_SEED = 0
"""Not the experiment's: the images are the same in every run."""


def _synthetic(config: Data, part: str) -> FileSet:
    """Images 128 ± 64 of their class's pattern ± up to 64 of noise: easy, but not linearly trivial."""
    row, classes = DATASETS[config.name], num_classes(config)
    shape = config.shape or row.shape
    size, pixels = (row.test if part == "test" else row.train), int(np.prod(shape))
    labels = np.arange(size, dtype=np.int64) % classes
    patterns = uniform(_SYNTHETIC_SEED, 0, np.arange(classes * pixels), 0).reshape(classes, pixels) < 0.5
    noise = uniform(_SYNTHETIC_SEED, 1 + (part == "test"), np.arange(size * pixels), 0).reshape(size, pixels)
    values = 128 + 64 * (2.0 * patterns[labels] - 1) + 128 * (noise - 0.5)
    images = np.clip(np.rint(values), 0, 255).astype(np.uint8).reshape(size, *shape)
    return _unfiled(f"synthetic/{part}", images, labels)


def _unfiled(name: str, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> FileSet:
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    return FileSet(torch.from_numpy(images), torch.from_numpy(labels), {name: f"sha256:{digest}"})


_READERS: dict[str, Callable[[Data, str], FileSet]] = {
    "mnist": _mnist,
    "fashion_mnist": partial(_packed_idx, torchvision_class="FashionMNIST"),
    "kmnist": partial(_packed_idx, torchvision_class="KMNIST"),
    **dict.fromkeys((name for name in FILES if name.startswith("emnist_")), _emnist),
    "cifar10": partial(_cifar, torchvision_class="CIFAR10"),
    "cifar100": partial(_cifar, torchvision_class="CIFAR100"),
    "stl10": _stl10,
    "svhn": _svhn,
    "digits": _digits,
    "synthetic": _synthetic,
}
