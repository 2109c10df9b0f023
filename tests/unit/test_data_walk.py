"""Files below a folder: every image once, links followed, and what is left out counted."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bnn_train.data.walk import Census, census
from bnn_train.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A class with images, folders in it, and a folder elsewhere."""
    for name in (
        "b.jpg",
        "a.PNG",
        "z/1.jpg",
        "d/deep/2.tif",
        "d/3.webp",
        "notes.txt",
        ".hidden/4.jpg",
        "._5.jpg",
    ):
        path = tmp_path / "train" / "cat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "elsewhere" / "inner").mkdir(parents=True)
    (tmp_path / "elsewhere" / "6.jpg").write_bytes(b"")
    (tmp_path / "elsewhere" / "inner" / "7.jpg").write_bytes(b"")
    return tmp_path / "train"


OWN = ["cat/a.PNG", "cat/b.jpg", "cat/d/3.webp", "cat/d/deep/2.tif", "cat/z/1.jpg"]


def images(found: Census) -> list[str]:
    return [os.fsdecode(path) for path in found.images]


def as_before(root: Path, name: str) -> list[str]:
    """The listing of release 1.0, whose numbers of images seed draws and splits."""
    found = []
    for top, folders, files in os.walk(root / name):
        folders[:] = sorted(inner for inner in folders if not inner.startswith("."))
        within = Path(name) / Path(top).relative_to(root / name)
        endings = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
        found += [
            str(within / file)
            for file in sorted(files)
            if not file.startswith(".") and file.lower().endswith(endings)
        ]
    return found


def test_plain_folders(root: Path) -> None:
    found = census(root, "cat")
    assert images(found) == OWN == as_before(root, "cat")
    assert (dict(found.others), found.gone, found.odd, found.repeated) == ({".txt": 1}, [], 0, 0)


def test_links_to_files_and_folders(root: Path) -> None:
    (root / "cat" / "linked.jpg").symlink_to("../../elsewhere/6.jpg")
    (root / "cat" / "a_folder").symlink_to("../../elsewhere")
    found = census(root, "cat")
    assert sorted(images(found)) == sorted(
        [*OWN, "cat/linked.jpg", "cat/a_folder/6.jpg", "cat/a_folder/inner/7.jpg"]
    )


def test_a_class_that_is_a_link(root: Path) -> None:
    (root / "dog").symlink_to("../elsewhere")
    assert images(census(root, "dog")) == ["dog/6.jpg", "dog/inner/7.jpg"]


@pytest.mark.parametrize("target", [".", "..", "../..", "d", "/", "self"])
def test_loops_end(target: str, root: Path) -> None:
    (root / "cat" / "self").symlink_to(target)
    (root / "cat" / "d" / "back").symlink_to("../../cat")
    found = census(root, "cat")
    assert images(found) == OWN
    assert found.repeated + len(found.gone) == 2


def test_two_links_to_one_folder_count_once(root: Path) -> None:
    for name in ("l1", "l2", "z/l3"):
        (root / "cat" / name).symlink_to(root.parent / "elsewhere")
    found = census(root, "cat")
    assert images(found) == [*OWN, "cat/l1/6.jpg", "cat/l1/inner/7.jpg"]
    assert found.repeated == 2


def test_a_link_renames_nothing(root: Path) -> None:
    (root / "cat" / "a_link_to_z").symlink_to("z")
    assert images(census(root, "cat")) == OWN


def test_what_is_no_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(root / "cat" / "pipe.jpg")
    (root / "cat" / "device.png").symlink_to("/dev/null")
    (root / "cat" / "gone.jpg").symlink_to("nowhere")
    (root / "cat" / "gone folder").symlink_to("nowhere/at/all")
    monkeypatch.chdir(root / "cat")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.jpg")
        found = census(root, "cat")
    assert sorted(images(found)) == sorted([*OWN, "cat/gone.jpg"])
    assert (found.odd, sorted(found.gone)) == (3, [b"cat/gone folder", b"cat/gone.jpg"])


def test_a_run_of_an_earlier_release_keeps_its_numbers(root: Path) -> None:
    os.mkfifo(root / "cat" / "pipe.jpg")
    (root / "cat" / "a_folder").symlink_to("../../elsewhere")
    (root / "cat" / "file.jpg").symlink_to("../../elsewhere/6.jpg")
    (root / "cat" / "gone.jpg").symlink_to("nowhere")
    (root / "cat" / "loop").symlink_to("..")
    assert images(census(root, "cat", by_position=True)) == as_before(root, "cat")


def test_names_of_any_bytes(root: Path) -> None:
    for name in (b"\xff\xfe.jpg", b"new\nline.jpg", "a\u0308.jpg".encode(), "\u00e4.jpg".encode()):
        (Path(os.fsdecode(root)) / "cat" / os.fsdecode(name)).write_bytes(b"")
    found = set(census(root, "cat").images)
    assert {b"cat/\xff\xfe.jpg", b"cat/new\nline.jpg", b"cat/a\xcc\x88.jpg", b"cat/\xc3\xa4.jpg"} <= found


def test_folders_a_thousand_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train/cat").mkdir(parents=True)
    os.chdir("train/cat")
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    Path("a.jpg").write_bytes(b"")
    try:
        found = census(tmp_path / "train", "cat").images
    finally:
        Path("a.jpg").unlink()
        for _ in range(1200):  # deeper than shutil.rmtree goes
            os.chdir("..")
            os.rmdir("d")
    assert found == [b"/".join([b"cat", *[b"d"] * 1200, b"a.jpg"])]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_cannot_be_listed_is_told(root: Path) -> None:
    (root / "cat" / "z").chmod(0)
    with pytest.raises(DataError, match=r"z: cannot be listed \(Permission denied\)"):
        census(root, "cat")


def test_what_is_left_out_in_words() -> None:
    found = Census()
    assert found.left_out() == ""
    found.others.update({".gif": 7, ".jfif": 3, "no ending": 2, ".x": 1, ".y": 1})
    assert found.left_out() == (
        "14 files whose ending is not that of an image (.gif 7, .jfif 3, no ending 2, .x 1, …)"
    )
    found.odd = 2
    assert found.left_out().endswith(" and 2 pipes, sockets or devices")
