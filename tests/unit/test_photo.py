"""One image file to one picture: depth, EXIF orientation, and what is no image."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bnn_train.errors import DataError, ImageError
from bnn_train.packed.images import read_files
from bnn_train.packed.photo import read_photo
from bnn_train.packed.program import Images
from make_data import pixels
from make_deep import DEEP, PLAIN, SIDE, samples

CONTRACT = Images(height=SIDE, width=SIDE, channels=3)


def written(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def refused(path: Path) -> str:
    """The error in which both decoders agree, within a time that only waiting for ever would take."""
    said: list[str] = []

    def read() -> None:
        for attempt in (lambda: read_photo(path, "RGB"), lambda: read_files([path], CONTRACT)):
            with pytest.raises(ImageError) as raised:
                attempt()
            said.append(str(raised.value))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(30)
    assert len(said) == 2
    assert said[0] == said[1]
    assert said[0].isprintable()
    said[0].encode()
    return said[0]


# --------------------------------------------------------------------------------------------- depth


WIDE = {"grey16.png": 1, "rgb16.png": 3, "rgb16.tif": 3, "rgb16_big.tif": 3, "grey16.tif": 1}
"""16 bits, whose upper 8 are read; and their channels."""
ALPHA = ("la16.png", "rgba16.png", "rgba16.tif", "cmyk16.tif")


@pytest.mark.parametrize("name", DEEP.keys() - WIDE.keys() - set(ALPHA))
def test_more_than_eight_bits_are_refused(name: str, tmp_path: Path) -> None:
    assert "more than 8 bits per channel" in refused(written(tmp_path, name, DEEP[name]))


@pytest.mark.parametrize("name", WIDE)
def test_of_sixteen_bits_the_upper_eight_are_read(name: str, tmp_path: Path) -> None:
    channels = WIDE[name]
    little = name in ("rgb16.tif", "grey16.tif")
    upper = np.frombuffer(samples(16, channels), np.uint8).reshape(SIDE, SIDE, channels, 2)[..., int(little)]
    image = read_photo(written(tmp_path, name, DEEP[name]), "RGB").image
    np.testing.assert_array_equal(np.array(image), np.broadcast_to(upper, (SIDE, SIDE, 3)))


@pytest.mark.parametrize("name", ALPHA)
def test_of_sixteen_bits_and_another_channel(name: str, tmp_path: Path) -> None:
    image = read_photo(written(tmp_path, name, DEEP[name]), "RGB").image
    assert (image.mode, image.size) == ("RGB", (SIDE, SIDE))


@pytest.mark.parametrize("name", PLAIN)
def test_eight_bits_are_read(name: str, tmp_path: Path) -> None:
    image = read_photo(written(tmp_path, name, PLAIN[name]), "RGB").image
    assert (image.mode, image.size) == ("RGB", (SIDE, SIDE))
    if name in ("rgb8.png", "rgb8.tif", "rgb8.ppm"):
        assert np.array(image).tobytes() == samples(8, 3)


# ------------------------------------------------------------------------------------------- EXIF

UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: x.transpose(1, 0, 2)[:, ::-1],
    7: lambda x: x.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda x: x.transpose(1, 0, 2)[::-1],
}
"""EXIF 2.3, 4.6.4: from the stored rows and columns to the seen ones."""


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation(orientation: int, suffix: str, tmp_path: Path) -> None:
    stored = pixels(1, 3, 8)[0].transpose(1, 2, 0)[:6]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    more: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(stored).save(path, exif=exif, **more)
    as_stored = read_photo(path, "RGB")
    upright = read_photo(path, "RGB", "apply")
    assert as_stored.turned == upright.turned == (orientation != 1)
    assert as_stored.image.size == (8, 6)
    np.testing.assert_array_equal(np.array(upright.image), UPRIGHT[orientation](np.array(as_stored.image)))
    if suffix != "jpg":
        np.testing.assert_array_equal(np.array(as_stored.image), stored)


@pytest.mark.parametrize(
    "damage", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_damaged_exif_is_upright(damage: bytes, tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=damage)
    for exif in ("ignore", "apply"):
        found = read_photo(tmp_path / "a.jpg", "RGB", exif)
        assert (found.image.size, found.turned) == ((8, 6), False)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(value: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png", exif=exif)
    assert read_photo(tmp_path / "a.png", "RGB", "apply").turned is False


# ------------------------------------------------------------------------------ what is no file


def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert "no regular file" in refused(tmp_path / "a.jpg")


def test_a_link_to_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.jpg").symlink_to("pipe")
    assert "no regular file" in refused(tmp_path / "a.jpg")


def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has 107 bytes at most
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a.jpg")
        assert "no regular file" in refused(tmp_path / "a.jpg")


def test_a_device_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("/dev/zero")
    assert "no regular file" in refused(tmp_path / "a.jpg")
    assert "no regular file" in refused(tmp_path)


def test_links(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("nowhere")
    assert refused(tmp_path / "a.jpg").endswith("a link that leads to no file; mend or remove it")
    (tmp_path / "b.jpg").symlink_to("b.jpg")
    assert "cannot be read (Too many levels of symbolic links)" in refused(tmp_path / "b.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file(tmp_path: Path) -> None:
    path = written(tmp_path, "a.png", PLAIN["rgb8.png"])
    path.chmod(0)
    assert "cannot be read (Permission denied)" in refused(path)


def test_a_missing_file_is_not_to_be_removed(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "a.jpg")
    assert "remove" not in refused(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    "name", [b"\xff\xfe.png", b"new\nline.png", "a\u0308\u202e.png".encode(), b"a\x1b[2J.png"]
)
def test_any_name_is_read_and_told_in_one_line(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(PLAIN["rgb8.png"])
    assert read_photo(path, "RGB").image.size == (SIDE, SIDE)
    path.write_bytes(b"nothing")
    assert "not a readable image" in refused(path)


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    assert "not a readable image" in refused(tmp_path / "a\0.png")


def test_a_drawing_that_would_start_a_program(tmp_path: Path) -> None:
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n"
    assert "cannot identify" in refused(written(tmp_path, "a.jpg", content))


def test_a_file_of_gigabytes(tmp_path: Path) -> None:
    path = written(tmp_path, "a.png", PLAIN["rgb8.png"])
    os.truncate(path, 2**30 + 1)  # a hole: nothing is written
    assert "more than 1024 MiB" in refused(path)


def test_the_faults_of_files_are_faults_of_data() -> None:
    assert issubclass(ImageError, DataError)
