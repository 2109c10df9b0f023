"""The published files of the data sets, and the check that those on disk are the same. No torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from bnn_train.errors import DataError


class File(NamedTuple):
    """One published file: where it lies under ``data.root``, and its MD5."""

    path: str
    md5: str


# data set → split → files. MD5 of MNIST's unpacked files; the others' as torchvision publishes them.
FILES: dict[str, dict[str, tuple[File, ...]]] = {
    "mnist": {
        "train": (
            File("MNIST/raw/train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
            File("MNIST/raw/train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
        ),
        "test": (
            File("MNIST/raw/t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
            File("MNIST/raw/t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
        ),
    },
    "cifar10": {
        "train": (
            File("cifar-10-batches-py/data_batch_1", "c99cafc152244af753f735de768cd75f"),
            File("cifar-10-batches-py/data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
            File("cifar-10-batches-py/data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
            File("cifar-10-batches-py/data_batch_4", "634d18415352ddfa80567beed471001a"),
            File("cifar-10-batches-py/data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
        ),
        "test": (File("cifar-10-batches-py/test_batch", "40351d587109b95175f43aff81a1287e"),),
    },
    "svhn": {
        "train": (File("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),),
        "test": (File("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),),
        "extra": (File("extra_32x32.mat", "a93ce644f1a588dc4d68dda5feec44a7"),),
    },
}


def md5(path: Path) -> str:
    """The MD5 of a file, as a checksum of known bytes, not for security."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def fault(root: Path, files: tuple[File, ...]) -> str | None:
    """The fault of the first bad file, as the start of a sentence; None where all are as published."""
    for file in files:
        path = (root / file.path).absolute()
        if not path.is_file():
            return f"{path}: no such file"
        found = readable_md5(path)
        if found != file.md5:
            return f"{path}: damaged or not the published file (MD5 {found}, not {file.md5})"
    return None


def readable_md5(path: Path) -> str:
    """``md5``, or a sentence where the file cannot be read."""
    try:
        return md5(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
