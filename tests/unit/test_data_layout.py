"""The places where the parts of an image folder are looked for, and the hint where they are not."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from bnn_train.config.schema import Data
from bnn_train.data.folder import list_images, same_classes
from bnn_train.data.open import open_data
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
    str(raised.value).encode()
    return str(raised.value)


# ---------------------------------------------------------------------------- names of the test set


@pytest.mark.parametrize("name", ["valid", "validation", "test"])
def test_other_names_of_the_test_set(name: str, root: Path) -> None:
    (root / "val").rename(root / name)
    found = list_images(config(root), "test")
    assert (found.root, len(found.labels)) == (root / name, 6)
    assert found.notes == (
        () if name == "test" else (f"{name}/ is the test set (data.test_folder chooses another)",)
    )


def test_a_second_test_set_is_told(root: Path) -> None:
    write_imagenet(root / "more", size=(8, 8), val=1)
    (root / "more" / "val").rename(root / "test")
    (note,) = list_images(config(root), "test").notes
    assert note == "val/ is the test set; test/ beside it is not used (data.test_folder chooses)"
    chosen = list_images(config(root, test_folder="test"), "test")
    assert (chosen.root, len(chosen.labels), chosen.notes) == (root / "test", 3, ())


def test_two_names_and_none_is_imagenets(root: Path) -> None:
    (root / "val").rename(root / "valid")
    (root / "test").mkdir()
    assert refused(root, "test") == (
        f"{root} holds valid/, test/; say which of them is the test set: data.test_folder"
    )


def test_a_folder_for_each_purpose(root: Path) -> None:
    write_imagenet(root / "more", size=(8, 8), val=1)
    (root / "more" / "val").rename(root / "test")
    section = config(root, validation={"folder": "val"}, image_size=8, batch_size=4, workers=0)
    data = open_data(section, seed=1, device=torch.device("cpu"))
    assert data.sizes == {"train": 12, "validation": 6, "test": 3}
    assert data.notes == ()
    assert sum(len(labels) for _, labels in data.eval_batches("validation")) == 6
    (root / "val" / WNIDS[0]).rename(root / "val" / "other")
    with pytest.raises(DataError, match="val lacks"):
        open_data(section, seed=1, device=torch.device("cpu"))


def test_a_chosen_folder_that_is_not_there(root: Path) -> None:
    assert refused(root, "test", test_folder="holdout").startswith(f"{root}/holdout: no such folder; unpack")
    assert refused(root, "test", validation={"folder": "val"}).startswith(f"{root}/test: no such folder")


# ------------------------------------------------------------------------------------------- hints


def test_levels(root: Path) -> None:
    assert refused(root / "train" / WNIDS[0]) == (
        f"{root}/train/{WNIDS[0]}: data.root is two levels too low; set it to {root}"
    )
    assert refused(root / "val", "test") == f"{root}/val: data.root is one level too low; set it to {root}"
    for name in ("valid", "test"):
        (root / "val").rename(root / name)
        assert refused(root / name).endswith(f"is one level too low; set it to {root}")
        assert refused(root.parent, "test").endswith(f"is one level too high; set it to {root}")
        (root / name).rename(root / "val")


def test_two_data_sets_below_the_root(root: Path) -> None:
    write_imagenet(root.parent / "other", size=(8, 8))
    assert refused(root.parent) == (
        f"{root.parent}: data.root is one level too high; set it to {root} (or other beside it)"
    )


@pytest.mark.parametrize("name", ["Train", "training", "TRAIN"])
def test_nearly_the_name(name: str, root: Path) -> None:
    (root / "train").rename(root / name)
    assert refused(root) == f"{root}/{name} is not looked at; name it train/"


def test_class_folders_without_a_part(root: Path) -> None:
    (root / "train").rename(root.parent / "photos")
    said = refused(root.parent / "photos")
    assert said == (
        f"{root.parent}/photos holds the class folders themselves ({', '.join(WNIDS[:3])}); move them into"
        f" {root.parent}/photos/train/, and other images of the same classes into {root.parent}/photos/val/"
    )


def test_a_file_for_a_root(root: Path) -> None:
    (root / "a.zip").write_bytes(b"")
    assert refused(root / "a.zip").startswith(f"{root}/a.zip: a file, not a folder (data.root)")


# ------------------------------------------------------------------------------------------- names


def test_one_class_in_two_unicode_forms(root: Path) -> None:
    nfc, nfd = "ähre", unicodedata.normalize("NFD", "ähre")
    (root / "train" / WNIDS[1]).rename(root / "train" / nfd)
    (root / "val" / WNIDS[1]).rename(root / "val" / nfc)
    train, test = list_images(config(root), "train"), list_images(config(root), "test")
    same_classes(train, test)
    assert train.classes == test.classes == (WNIDS[0], WNIDS[2], nfc)
    for listing in (train, test):
        for index, label in enumerate(listing.labels):
            folder = unicodedata.normalize("NFC", listing.path(index).parent.name)
            assert (folder, listing.path(index).is_file()) == (listing.classes[label], True)


def test_two_folders_of_one_name(root: Path) -> None:
    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    for wnid, form in zip(WNIDS[1:3], forms, strict=True):
        (root / "train" / wnid).rename(root / "train" / unicodedata.normalize(form, "ähre"))
    assert "two folders named ähre, in two Unicode forms" in refused(root)


def test_a_class_whose_name_is_not_utf8(root: Path) -> None:
    (root / "train" / WNIDS[0]).rename(root / "train" / os.fsdecode(b"caf\xe9"))
    assert refused(root) == rf"{root}/train/caf\xe9: the class's name is not UTF-8; rename the folder"


def test_images_of_any_name(root: Path) -> None:
    folder = root / "train" / WNIDS[0]
    for name in (b"\xff\xfe.JPEG", b"a\nb.JPEG"):
        os.link(folder / f"{WNIDS[0]}_0.JPEG", folder / os.fsdecode(name))
    section = config(root, image_size=8, batch_size=2, workers=0, normalize=["unit"])
    data = open_data(section, seed=1, device=torch.device("cpu"))
    assert sum(len(labels) for _, labels in data.train_batches(0)) == 14


# --------------------------------------------------------------------------------- what is left out


def test_what_is_not_used_is_told(root: Path) -> None:
    for name in ("1.gif", "2.jfif", "3.GIF"):
        (root / "train" / WNIDS[0] / name).write_bytes(b"")
    (root / "train" / "loose.jpg").write_bytes(b"")
    assert list_images(config(root), "train").notes == (
        "train/: 1 image lies beside the class folders, in no class, and left out",
        "train/: left out 3 files whose ending is not that of an image (.gif 2, .jfif 1)",
    )
    assert list_images(config(root), "test").notes == ()


def test_a_class_of_other_endings_only(root: Path) -> None:
    (root / "train" / "phone").mkdir()
    (root / "train" / "phone" / "1.heic").write_bytes(b"")
    assert "but with 1 file whose ending is not that of an image (.heic 1); fill" in refused(root)


def test_a_link_that_leads_nowhere(root: Path) -> None:
    (root / "train" / WNIDS[0] / "a.jpg").symlink_to("/mnt/away/a.jpg")
    assert refused(root) == (
        f"{root}/train/{WNIDS[0]}/a.jpg: a link that leads nowhere; mend or remove it, or mount the disk it"
        " leads to"
    )
    assert len(list_images(config(root, on_error="skip"), "train").labels) == 13
    (root / "train" / "n0999").symlink_to("/mnt/away/n0999")  # a class
    assert refused(root, on_error="skip").startswith(f"{root}/train/n0999: a link that leads nowhere")
