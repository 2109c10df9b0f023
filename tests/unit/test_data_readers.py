"""The readers against bytes that the test writes in the official formats."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch

from bnn_train.compat import import_torchvision
from bnn_train.config.schema import Data
from bnn_train.data.readers import FileSet, read
from bnn_train.errors import DataError
from bnn_train.spec.datasets import DATASETS
from make_data import (
    Pixels,
    accept,
    labels,
    write_cifar10,
    write_cifar100,
    write_emnist_letters,
    write_fashion_mnist,
    write_kmnist,
    write_mnist,
    write_stl10,
    write_svhn,
)

import_torchvision()

WRITERS: dict[str, Callable[[Path], dict[str, Pixels]]] = {
    "mnist": write_mnist,
    "fashion_mnist": write_fashion_mnist,
    "kmnist": write_kmnist,
    "emnist_letters": write_emnist_letters,
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "stl10": write_stl10,
    "svhn": write_svhn,
}
A_FILE = {
    "mnist": "MNIST/raw/train-labels-idx1-ubyte",
    "fashion_mnist": "FashionMNIST/raw/train-images-idx3-ubyte.gz",
    "kmnist": "KMNIST/raw/train-labels-idx1-ubyte.gz",
    "emnist_letters": "EMNIST/raw/gzip.zip",
    "cifar10": "cifar-10-batches-py/data_batch_3",
    "cifar100": "cifar-100-python/train",
    "stl10": "stl10_binary/train_y.bin",
    "svhn": "train_32x32.mat",
}

CLASSES = {"fashion_mnist": "FashionMNIST", "emnist_letters": "EMNIST"}
"""torchvision's."""


def config(name: str, root: Path, **more: Any) -> Data:
    return Data.model_validate({"name": name, "root": str(root), **more})


def same(found: FileSet, pixels: Any, numbers: Any) -> None:
    assert (found.images.dtype, found.labels.dtype) == (torch.uint8, torch.int64)
    np.testing.assert_array_equal(found.images.numpy(), pixels)
    np.testing.assert_array_equal(found.labels.numpy(), numbers)


@pytest.mark.parametrize("name", WRITERS)
def test_published_formats(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = WRITERS[name](tmp_path)
    accept(monkeypatch, tmp_path, name)
    for part, pixels in sets.items():
        found = read(config(name, tmp_path), part)
        same(found, pixels, labels(len(pixels), DATASETS[name].num_classes))
        assert all(len(digest) == len("md5:") + 32 for digest in found.digests.values())
        assert all((tmp_path / file).is_file() for file in found.digests)


@pytest.mark.parametrize("name", WRITERS)
def test_the_test_set_needs_no_training_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = WRITERS[name](tmp_path)
    accept(monkeypatch, tmp_path, name)
    for file in sorted(tmp_path.rglob("*")):
        if file.is_file() and not any(word in file.name for word in ("test", "t10k", "gzip.zip")):
            file.unlink()
    numbers = labels(len(sets["test"]), DATASETS[name].num_classes)
    same(read(config(name, tmp_path), "test"), sets["test"], numbers)


@pytest.mark.parametrize("name", WRITERS)
def test_one_flipped_bit_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS[name](tmp_path)
    accept(monkeypatch, tmp_path, name)
    file = tmp_path / A_FILE[name]
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read(config(name, tmp_path), "train")
    assert str(raised.value).startswith(f"{file}: damaged or not the published file")


@pytest.mark.parametrize("name", WRITERS)
def test_missing_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as raised:
        read(config(name, Path("nowhere")), "train")
    message = str(raised.value)
    assert message.startswith(f"{tmp_path}/nowhere/")
    assert "no such file; to get" in message
    assert f"set data.download to true, or {DATASETS[name].how_to_get}" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", WRITERS)
def test_a_failed_download(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from torchvision import datasets

    def offline(self: Any) -> None:
        print("Downloading http://…")
        raise URLError("no route to host")

    monkeypatch.setattr(getattr(datasets, CLASSES.get(name, name.upper())), "download", offline)
    with pytest.raises(
        DataError, match=r"no such file; .* fetching it failed \(<urlopen error no route to host>\)"
    ) as raised:
        read(config(name, tmp_path, download=True), "train")
    assert DATASETS[name].how_to_get in str(raised.value)
    assert capsys.readouterr().out == ""


def test_a_download_is_checked_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import MNIST

    published = tmp_path / "published"
    sets = write_mnist(published)
    accept(monkeypatch, published, "mnist")
    monkeypatch.setattr(MNIST, "download", lambda self: (published / "MNIST").rename(tmp_path / "MNIST"))
    same(read(config("mnist", tmp_path, download=True), "train"), sets["train"], labels(40))


def truncated(content: bytes) -> bytes:
    return content[:-1]


def a_login_page(content: bytes) -> bytes:
    return b"<html>"


def relabelled(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("damage", [truncated, a_login_page, relabelled])
def test_a_damaged_file_is_refused_though_a_download_was_asked_for(
    damage: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision downloads no file that is there, and reads all of them."""
    write_mnist(tmp_path)
    accept(monkeypatch, tmp_path, "mnist")
    file = tmp_path / "MNIST/raw/train-labels-idx1-ubyte"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match="train-labels-idx1-ubyte: damaged or not the published file"):
        read(config("mnist", tmp_path, download=True), "train")


def test_svhn_without_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_svhn(tmp_path)
    accept(monkeypatch, tmp_path, "svhn")
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(DataError, match=r"read by scipy: pip install 'bnn-train\[svhn\]'"):
        read(config("svhn", tmp_path), "train")


def test_digits() -> None:
    sets = pytest.importorskip(
        "sklearn.datasets", reason="the embedded digits are held against scikit-learn's"
    )
    scans, numbers = sets.load_digits(return_X_y=True)
    pixels = np.floor(scans * 255 / 16 + 0.5).astype(int).reshape(-1, 1, 8, 8)  # no value lies on a half
    is_test = np.array([i % 18 in (0, 1, 2, 3, 4) for i in range(1797)])
    for part, chosen, count in (("train", ~is_test, 1297), ("test", is_test, 500)):
        found = read(Data(name="digits"), part)
        same(found, pixels[chosen], numbers[chosen])
        assert len(found.labels) == count == getattr(DATASETS["digits"], part)
    train = read(Data(name="digits"), "train").images.double() / 255
    assert float(train.mean()) == pytest.approx(DATASETS["digits"].mean[0], abs=2e-3)
    assert float(train.std()) == pytest.approx(DATASETS["digits"].std[0], abs=2e-3)


@pytest.mark.parametrize("more", [{}, {"shape": (1, 6, 7), "num_classes": 3}])
def test_synthetic_is_fixed_and_learnable(more: dict[str, Any]) -> None:
    section = Data.model_validate({"name": "synthetic", **more})
    train, test, again = read(section, "train"), read(section, "test"), read(section, "train")
    assert torch.equal(train.images, again.images)
    assert train.images.shape == (512, *(more.get("shape") or (3, 32, 32)))
    assert set(test.labels.tolist()) == set(range(more.get("num_classes", 10)))
    # The nearest class mean of the training images finds the class of the test images, yet not all are equal.
    means = torch.stack([train.images[train.labels == c].float().mean(dim=0) for c in test.labels.unique()])
    distances = torch.cdist(test.images.float().flatten(1), means.flatten(1))
    assert (distances.argmin(dim=1) == test.labels).float().mean() > 0.95
    assert float((train.images[0].float() - train.images[means.shape[0]].float()).abs().mean()) > 10
    known = {image.numpy().tobytes() for image in train.images}
    assert not any(image.numpy().tobytes() in known for image in test.images)
