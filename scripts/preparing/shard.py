"""One tar file of images: written whole or not at all, and read again to verify it."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bnn_train.data.folder import Listing
from bnn_train.data.shards import ARRAY, Form, Shards
from bnn_train.errors import ImageError
from bnn_train.files import replace_file, write_atomic
from bnn_train.packed import jpeg
from bnn_train.packed.photo import decode_photo, read_bytes, resized
from bnn_train.packed.resample import Picture, resample


class Task(NamedTuple):
    """A tar file to write: images of a listing by number, in this order."""

    listing: Listing
    images: list[int]
    form: Form
    to: Path


class Row(NamedTuple):
    """Where an image lies in a tar file."""

    image: int
    offset: int
    size: int
    crc32: int
    damaged: bool
    """Whether it could not be decoded, so that the file's own bytes were stored."""


def name_of(number: int) -> str:
    """``shard-00000.tar``"""
    return f"shard-{number:05d}.tar"


def rows_of(path: Path) -> list[Row] | None:
    """The rows of a finished tar file; None where there is none."""
    try:
        table = np.load(path.with_suffix(".rows.npy"), allow_pickle=False)
    except (OSError, ValueError):
        return None
    whole = path.is_file() and path.stat().st_size == table[0, 0]
    return (
        [Row(row[0], row[1], row[2], row[3], bool(row[4])) for row in table[1:].tolist()] if whole else None
    )


def write(task: Task) -> list[Row]:
    """Write a tar file and, beside it, its rows, so that a stopped preparation goes on behind it."""
    rows: list[Row] = []

    def fill(place: Path) -> None:
        with tarfile.open(place, "w", format=tarfile.USTAR_FORMAT) as tar:
            for image in task.images:
                content, ending, damaged = _stored(task, image)
                _add(tar, f"{image:08d}{ending}", content)
                size, padded = len(content), -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                rows.append(Row(image, tar.offset - padded, size, zlib.crc32(content), damaged))
                _add(tar, f"{image:08d}.cls", str(task.listing.labels[image]).encode())

    replace_file(task.to, fill)
    table = np.array([(task.to.stat().st_size, 0, 0, 0, 0), *rows], np.int64)
    buffer = io.BytesIO()
    np.save(buffer, table, allow_pickle=False)
    write_atomic(task.to.with_suffix(".rows.npy"), buffer.getvalue())
    return rows


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))


def _stored(task: Task, image: int) -> tuple[bytes, str, bool]:
    """The bytes of a member, its ending, and whether the image is damaged: then its own bytes are kept, so
    that training meets it as it would meet the file."""
    path = task.listing.path(image)
    content, ending = read_bytes(path, listed=True), _ending(path)
    if task.form.stored == "original":
        return content, ending, False
    try:
        pixels = decode_photo(content, path, "RGB", task.form.exif).pixels
    except ImageError:
        return content, ending, True
    return *_encoded(_shrunk(pixels, task.form), task.form), False


def _ending(path: Path) -> str:
    ending = path.suffix.lower()
    return ".jpg" if ending == ".jpeg" else ending


def _shrunk(pixels: Picture, form: Form) -> Picture:
    height, width = pixels.shape[:2]
    if form.side is None or min(height, width) <= form.side:
        return pixels
    width, height = resized((width, height), form.side)
    return resample(pixels, (height, width))


def _encoded(pixels: Picture, form: Form) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    if form.stored == "raw":
        np.save(buffer, pixels, allow_pickle=False)
        return buffer.getvalue(), ARRAY
    from PIL import Image

    Image.fromarray(pixels).save(buffer, "JPEG", quality=form.quality, subsampling=0)
    return buffer.getvalue(), ".jpg"


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Fault(NamedTuple):
    """A thing wrong with a tar file, or with an image that was damaged before."""

    told: str
    written: bool = True
    """Whether the tar file is at fault."""


def faults(shards: Shards, number: int, sha256: str) -> Iterator[Fault]:
    """Each thing wrong with one tar file: its bytes, its members, its images."""
    path = shards.root / shards.files[number]
    if digest(path) != sha256:
        yield Fault(f"{path}: other bytes than were written (SHA-256)")
    with tarfile.open(path) as tar:
        members = {member.offset_data: member for member in tar.getmembers()}
    chosen = np.flatnonzero(shards.columns["shard"] == number)
    if len(members) != 2 * len(chosen):
        yield Fault(f"{path}: {len(members)} members, not {2 * len(chosen)}")
    for index in chosen.tolist():
        yield from _image_faults(shards, index, members.get(int(shards.columns["offset"][index])))


def _image_faults(shards: Shards, index: int, member: Any) -> Iterator[Fault]:
    name = os.fspath(shards.name(index))
    content = shards.content(index)
    if member is None or member.size != len(content):
        yield Fault(f"{name}: no member of the tar file lies there")
    if zlib.crc32(content) != shards.columns["crc32"][index]:
        yield Fault(f"{name}: other bytes than were written (CRC-32)")
        return
    try:
        shards.photo(index, "RGB", shards.form.exif)
    except ImageError as error:
        yield Fault(str(error), written=False)
        return
    if content[:2] == b"\xff\xd8" and jpeg.library() is not None and jpeg.damaged(content):
        yield Fault(f"{name}: decoded, but libjpeg warns of damaged data", written=False)
