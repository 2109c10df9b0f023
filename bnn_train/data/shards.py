"""Images in tar files, as WebDataset lays them out, read at random through an index. No torch.

A part's folder holds ``shard-00000.tar`` …, ``index.npz`` and ``shards.json``. A sample is two members of one
name: the image (``.jpg`` and so on as the file was, or ``.npy`` of uint8 H×W×3) and ``.cls``, its label.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import DataError, ImageError, printable
from bnn_train.packed.photo import Exif, Photo, decode_photo, read_bytes

MANIFEST, INDEX = "shards.json", "index.npz"
FORMAT = "bnn_train shards 1"
COLUMNS = ("paths", "labels", "shard", "offset", "size", "crc32")
ARRAY = ".npy"
_HEAD = 128
"""Bytes that hold the head of an array of pixels."""
Stored = Literal["original", "jpeg", "raw"]


class Form(NamedTuple):
    """How images were stored."""

    stored: Stored
    """`original`: the files' own bytes; `jpeg`, `raw`: decoded, resized, and encoded anew, or left so."""
    side: int | None = None
    """Shorter sides longer than this were resized to it."""
    quality: int | None = None
    exif: Exif = "ignore"
    """Whether images were turned as their EXIF data say; not told of `original`, which keeps the data."""

    def told(self) -> str:
        """As the part of a sentence."""
        if self.stored == "original":
            return "the files' own bytes"
        kind = "raw pixels" if self.stored == "raw" else f"JPEG of quality {self.quality}"
        return f"shorter sides at most {self.side}, {kind}"


@dataclass(frozen=True)
class Shards:
    """The places of a part's images, in the order of the listing."""

    root: Path
    files: tuple[str, ...]
    form: Form
    columns: Mapping[str, NDArray[Any]]

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """The tar files."""
        return tuple(self.root / file for file in self.files)

    def subset(self, positions: NDArray[np.int64]) -> Shards:
        """The places of some of the images."""
        return replace(self, columns={name: column[positions] for name, column in self.columns.items()})

    def name(self, index: int) -> Path:
        """Where an image lies, for sentences: its tar file and, behind it, its own name."""
        file = self.files[int(self.columns["shard"][index])]
        return self.root / file / os.fsdecode(self.columns["paths"][index])

    def content(self, index: int) -> bytes:
        """The bytes of a member. Raises ImageError where the tar file is shorter than the index says."""
        size, path = int(self.columns["size"][index]), self.paths[int(self.columns["shard"][index])]
        found = read_bytes(path, (int(self.columns["offset"][index]), size), listed=True)
        if len(found) != size:
            raise ImageError(f"{printable(self.name(index))}: the tar file ends early; prepare it anew")
        return found

    def photo(self, index: int, mode: str, exif: Exif) -> Photo:
        """See ``read_photo``. Raises DataError where images were prepared with another ``exif``."""
        content = self.content(index)
        if self.form.stored != "original" and exif != self.form.exif:
            raise DataError(
                f"{printable(self.root)}: prepared with --exif {self.form.exif}, but data.exif is {exif};"
                " set it so, or prepare the images anew"
            )
        if content[:6] == b"\x93NUMPY":
            return Photo(_converted(self._array(content, index), mode), False)
        return decode_photo(content, self.name(index), mode, exif)

    def _array(self, content: bytes, index: int) -> NDArray[np.uint8]:
        try:
            shape, begin = _head(content[:_HEAD])
            return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)
        except ValueError as error:
            name = printable(self.name(index))
            raise ImageError(f"{name}: no array of pixels ({error}); prepare it anew") from None


@lru_cache(4096)
def _head(head: bytes) -> tuple[tuple[int, ...], int]:
    """The shape of an array and where its pixels begin."""
    file = io.BytesIO(head)
    np.lib.format.read_magic(file)
    shape, by_columns, kind = np.lib.format.read_array_header_1_0(file)
    if kind != np.uint8 or len(shape) != 3 or shape[2] != 3 or by_columns:
        raise ValueError(f"{kind} of shape {shape}, not uint8 H×W×3")
    return shape, file.tell()


def _converted(pixels: NDArray[np.uint8], mode: str) -> NDArray[np.uint8]:
    if mode == "RGB":
        return pixels
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).convert(mode))[:, :, None]


def is_sharded(root: Path) -> bool:
    """Whether a part's folder holds shards."""
    return (root / MANIFEST).is_file()


def open_shards(root: Path) -> tuple[Shards, tuple[str, ...]]:
    """The shards in a folder, and the classes' names. Raises DataError where files are missing or foreign."""
    manifest = _manifest(root)
    try:
        files = tuple(str(shard["file"]) for shard in manifest["shards"])
        sizes = [int(shard["bytes"]) for shard in manifest["shards"]]
        form, classes = Form(**manifest["form"]), tuple(map(str, manifest["classes"]))
        with np.load(root / INDEX, allow_pickle=False) as stored:
            columns = {name: stored[name] for name in COLUMNS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{printable(root)}: {MANIFEST} or {INDEX} is unfit ({error}); {_AGAIN}") from None
    for file, size in zip(files, sizes, strict=True):
        _check_file(root / file, size)
    counts = {len(column) for column in columns.values()}
    labels = columns["labels"]
    if counts != {manifest.get("images")} or not 0 <= labels.min() <= labels.max() < len(classes):
        raise DataError(f"{printable(root)}: {INDEX} is not that of {MANIFEST}; {_AGAIN}")
    return Shards(root, files, form, columns), classes


_AGAIN = "run scripts/prepare_imagenet.py again"


def _manifest(root: Path) -> dict[str, Any]:
    try:
        found = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{printable(root / MANIFEST)}: cannot be read ({error}); {_AGAIN}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DataError(f"{printable(root / MANIFEST)}: not {FORMAT}; {_AGAIN}")
    return found


def _check_file(path: Path, size: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be read ({error.strerror}); {_AGAIN}") from None
    if found != size:
        raise DataError(f"{printable(path)}: {found:,} bytes, not {size:,}; {_AGAIN}")


def fingerprint(paths: list[bytes], form: Form) -> str:
    """That of the files where their own bytes are stored, and another for other pixels."""
    told = [] if form.stored == "original" else [json.dumps(form._asdict()).encode()]
    return hashlib.sha256(b"\0".join([*paths, *told])).hexdigest()
