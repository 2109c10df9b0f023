"""Tiny data sets in the official file formats, and the checksum tables replaced so that they are accepted."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bnn_train.data import files

Pixels = NDArray[np.uint8]
WNIDS = ("n01440764", "n02102040", "n02979186", "n03000684")


def pixels(count: int, channels: int, side: int, seed: int = 0) -> Pixels:
    """uint8 N×C×side×side noise."""
    return np.random.default_rng(seed).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def labels(count: int, classes: int = 10) -> NDArray[np.int64]:
    """0, 1, …, classes − 1, 0, 1, …"""
    return np.arange(count, dtype=np.int64) % classes


def idx(array: NDArray[np.uint8]) -> bytes:
    """An idx file of unsigned bytes."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(root: Path, train: int = 40, test: int = 20) -> dict[str, Pixels]:
    """The four idx files; returns the images N×1×28×28 by split. Labels are ``labels(n)``."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    sets = {"train": pixels(train, 1, 28, 1), "test": pixels(test, 1, 28, 2)}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images = sets[split]
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images[:, 0]))
        numbers = labels(len(images)).astype(np.uint8)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(numbers))
    return sets


def _write_idx_gz(folder: Path, train: int, test: int) -> dict[str, Pixels]:
    folder.mkdir(parents=True)
    sets = {"train": pixels(train, 1, 28, 8), "test": pixels(test, 1, 28, 9)}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        numbers = labels(len(sets[split])).astype(np.uint8)
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(sets[split][:, 0])))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(numbers)))
    return sets


def write_fashion_mnist(root: Path, train: int = 40, test: int = 20) -> dict[str, Pixels]:
    """The four packed idx files; returns the images N×1×28×28 by split."""
    return _write_idx_gz(root / "FashionMNIST" / "raw", train, test)


def write_kmnist(root: Path, train: int = 40, test: int = 20) -> dict[str, Pixels]:
    """The four packed idx files; returns the images N×1×28×28 by split."""
    return _write_idx_gz(root / "KMNIST" / "raw", train, test)


def write_emnist_letters(root: Path, train: int = 52, test: int = 26) -> dict[str, Pixels]:
    """The archive with the letters alone, from 1, pixels column by column; returns the images upright."""
    folder = root / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    sets = {"train": pixels(train, 1, 28, 10), "test": pixels(test, 1, 28, 11)}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for split, images in sets.items():
            numbers = (labels(len(images), 26) + 1).astype(np.uint8)
            columns = np.ascontiguousarray(images[:, 0].transpose(0, 2, 1))
            for kind, array in (("images-idx3", columns), ("labels-idx1", numbers)):
                name = f"gzip/emnist-letters-{split}-{kind}-ubyte.gz"
                archive.writestr(name, gzip.compress(idx(array)))
    (folder / "gzip.zip").write_bytes(content.getvalue())
    return sets


def write_cifar100(root: Path, train: int = 200, test: int = 100) -> dict[str, Pixels]:
    """The two pickled files, fine and coarse labels; returns the images N×3×32×32 by split."""
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    sets = {"train": pixels(train, 3, 32, 12), "test": pixels(test, 3, 32, 13)}
    for split, images in sets.items():
        fine = labels(len(images), 100)
        content = {
            "data": images.reshape(len(images), -1),
            "fine_labels": fine.tolist(),
            "coarse_labels": (fine // 5).tolist(),
        }
        (folder / split).write_bytes(pickle.dumps(content))
    return sets


def write_stl10(root: Path, train: int = 20, test: int = 10) -> dict[str, Pixels]:
    """The four binary files, labels from 1, pixels column by column; returns the images N×3×96×96 upright."""
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    sets = {"train": pixels(train, 3, 96, 14), "test": pixels(test, 3, 96, 15)}
    for split, images in sets.items():
        (folder / f"{split}_X.bin").write_bytes(images.transpose(0, 1, 3, 2).tobytes())
        (folder / f"{split}_y.bin").write_bytes((labels(len(images)) + 1).astype(np.uint8).tobytes())
    return sets


def write_cifar10(root: Path, train: int = 50, test: int = 20) -> dict[str, Pixels]:
    """The six pickled batches, ``train`` images over five of them; returns the images N×3×32×32 by split."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    sets = {"train": pixels(train, 3, 32, 3), "test": pixels(test, 3, 32, 4)}
    parts = {f"data_batch_{i + 1}": part for i, part in enumerate(np.array_split(np.arange(train), 5))}
    for name, at in parts.items():
        _write_batch(folder / name, sets["train"][at], labels(train)[at])
    _write_batch(folder / "test_batch", sets["test"], labels(test))
    return sets


def _write_batch(path: Path, images: Pixels, numbers: NDArray[np.int64]) -> None:
    path.write_bytes(pickle.dumps({"data": images.reshape(len(images), -1), "labels": numbers.tolist()}))


def write_svhn(root: Path, train: int = 60, test: int = 20, extra: int = 60) -> dict[str, Pixels]:
    """The three .mat files (digit 0 as label 10); returns the images N×3×32×32 by split."""
    io = pytest.importorskip("scipy.io", reason="SVHN needs the extra `svhn`")
    root.mkdir(parents=True, exist_ok=True)
    sets = {
        "train": pixels(train, 3, 32, 5),
        "test": pixels(test, 3, 32, 6),
        "extra": pixels(extra, 3, 32, 7),
    }
    for split, images in sets.items():
        digits = labels(len(images))
        digits[digits == 0] = 10
        contents = {"X": images.transpose(2, 3, 1, 0), "y": digits[:, None].astype(np.uint8)}
        io.savemat(root / f"{split}_32x32.mat", contents)
    return sets


def write_imagenet(
    root: Path,
    classes: tuple[str, ...] = WNIDS[:3],
    size: tuple[int, int] = (40, 36),
    train: int = 4,
    val: int = 2,
) -> None:
    """train/<class>/ and val/<class>/ with so many JPEGs per class, of width and height ``size``, smooth."""
    for folder, count in (("train", train), ("val", val)):
        for number, name in enumerate(classes):
            (root / folder / name).mkdir(parents=True)
            for i in range(count):
                coarse = pixels(1, 3, 4, seed=100 * number + i + 50 * (folder == "val"))[0].transpose(1, 2, 0)
                image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
                image.save(root / folder / name / f"{name}_{i}.JPEG", quality=95)


def accept(monkeypatch: pytest.MonkeyPatch, root: Path, name: str) -> None:
    """Take the MD5 of the files under ``root`` for the published ones of data set ``name``."""
    table = {
        split: tuple(
            files.File(file.path, hashlib.md5((root / file.path).read_bytes()).hexdigest())
            for file in published
        )
        for split, published in files.FILES[name].items()
    }
    monkeypatch.setitem(files.FILES, name, table)
