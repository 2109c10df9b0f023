"""Image folders: what is listed, and every way in which a folder can be wrong."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bnn_train.config.schema import Data
from bnn_train.data.folder import list_images, same_classes
from bnn_train.errors import DataError
from make_data import WNIDS, write_imagenet


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_imagenet(tmp_path / "images", size=(8, 8))
    return tmp_path / "images"


def config(root: Path, **more: Any) -> Data:
    return Data.model_validate({"name": "imagenet", "root": str(root), **more})


def refused(root: Path, part: str = "train", **more: Any) -> str:
    with pytest.raises(DataError) as raised:
        list_images(config(root, **more), part)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_listing(root: Path) -> None:
    listing = list_images(config(root), "train")
    assert listing.classes == WNIDS[:3]
    assert listing.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert listing.path(5) == root / "train" / WNIDS[1] / f"{WNIDS[1]}_1.JPEG"
    assert len(list_images(config(root), "test").labels) == 6


def test_hidden_and_foreign_files_are_ignored(root: Path) -> None:
    before = list_images(config(root), "train")
    (root / "train" / ".ipynb_checkpoints").mkdir()
    (root / "train" / WNIDS[0] / ".hidden").mkdir()
    (root / "train" / WNIDS[0] / ".hidden" / "a.JPEG").write_bytes(b"")
    (root / "train" / WNIDS[0] / "._1.jpg").write_bytes(b"")
    (root / "train" / WNIDS[0] / "notes.txt").write_text("")
    (root / "train" / "README").write_text("")
    after = list_images(config(root), "train")
    assert (after.classes, after.paths.tolist(), after.fingerprint) == (
        before.classes,
        before.paths.tolist(),
        before.fingerprint,
    )


def test_odd_names(root: Path) -> None:
    folder = root / "train" / WNIDS[2] / "inner"
    folder.mkdir()
    (folder / "it's ü.PNG").write_bytes(b"")
    listing = list_images(config(root), "train")
    assert listing.path(len(listing.labels) - 1) == folder / "it's ü.PNG"
    assert listing.labels[-1] == 2


def test_fingerprint_sees_a_renamed_file(root: Path) -> None:
    before = list_images(config(root), "train").fingerprint
    file = root / "train" / WNIDS[0] / f"{WNIDS[0]}_0.JPEG"
    file.rename(file.with_name("other.JPEG"))
    assert list_images(config(root), "train").fingerprint != before


def test_no_root(tmp_path: Path) -> None:
    message = refused(tmp_path / "nowhere")
    assert message.startswith(
        f"{tmp_path}/nowhere: no such folder (data.root); unpack the images into train/"
    )


def test_no_part(root: Path) -> None:
    shutil.rmtree(root / "val")
    assert refused(root, "test").startswith(f"{root}/val: no such folder; unpack")


def test_one_level_too_low(root: Path) -> None:
    assert refused(root / "train") == f"{root}/train: data.root is one level too low; set it to {root}"


def test_one_level_too_high(root: Path) -> None:
    assert refused(root.parent) == f"{root.parent}: data.root is one level too high; set it to {root}"


def test_splits_where_classes_should_be(root: Path) -> None:
    (root.parent / "train").mkdir()
    for name in ("train", "val"):
        (root / name).rename(root.parent / "train" / name)
    message = refused(root.parent)
    assert "holds train, val instead of classes" in message
    assert message.endswith(f"set data.root to {root.parent}/train")


def test_flat_validation_images(root: Path) -> None:
    shutil.rmtree(root / "val")
    (root / "val").mkdir()
    for i in (2, 1):
        (root / "val" / f"ILSVRC2012_val_0000000{i}.JPEG").write_bytes(b"")
    message = refused(root, "test")
    assert message.startswith(f"{root}/val: the images (ILSVRC2012_val_00000001.JPEG, …) lie side by side")
    assert "val/<class>/" in message


def test_no_classes(root: Path) -> None:
    shutil.rmtree(root / "val")
    (root / "val").mkdir()
    assert refused(root, "test").startswith(f"{root}/val: no class folders")


def test_empty_class(root: Path) -> None:
    (root / "train" / "n09999999").mkdir()
    assert refused(root).startswith(f"{root}/train/n09999999: a class folder without an image")


def test_class_count(root: Path) -> None:
    assert "3 classes, but data.num_classes is 1000" in refused(root, num_classes=1000)
    assert len(list_images(config(root, num_classes=3), "train").classes) == 3


def test_classes_must_be_the_same(root: Path) -> None:
    (root / "val" / WNIDS[1]).rename(root / "val" / "other")
    with pytest.raises(DataError) as raised:
        same_classes(list_images(config(root), "train"), list_images(config(root), "test"))
    assert str(raised.value) == (
        f"{root}/val lacks {WNIDS[1]} and has other, unknown to {root}/train;"
        " both folders must hold the same classes"
    )
