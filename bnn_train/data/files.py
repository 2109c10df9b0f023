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


def _idx(folder: str, *digests: str) -> dict[str, tuple[File, ...]]:
    """Fashion-MNIST and KMNIST as their authors pack them."""
    kinds = ("images-idx3", "labels-idx1")
    names = [f"{folder}/raw/{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in kinds]
    files = [File(name, digest) for name, digest in zip(names, digests, strict=True)]
    return {"train": tuple(files[:2]), "test": tuple(files[2:])}


_EMNIST = (File("EMNIST/raw/gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e"),)
"""All of its parts, of training and test images."""

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
    "fashion_mnist": _idx(
        "FashionMNIST",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    "kmnist": _idx(
        "KMNIST",
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    ),
    **{
        f"emnist_{part}": {"train": _EMNIST, "test": _EMNIST}
        for part in ("balanced", "byclass", "bymerge", "letters", "digits", "mnist")
    },
    "cifar100": {
        "train": (File("cifar-100-python/train", "16019d7e3df5f24257cddd939b257f8d"),),
        "test": (File("cifar-100-python/test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),),
    },
    "stl10": {
        "train": (
            File("stl10_binary/train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"),
            File("stl10_binary/train_y.bin", "5a34089d4802c674881badbb80307741"),
        ),
        "test": (
            File("stl10_binary/test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"),
            File("stl10_binary/test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"),
        ),
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
