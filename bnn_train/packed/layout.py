"""The outer form of the file: the safetensors layout, checked before any of its bytes is used.

Eight bytes, the length of a JSON object, little-endian; the object, filled with spaces to a multiple of
eight; the tensors, one after the other without gap, larger elements first, then by name. The library reads
such a file; we write it ourselves because the library leaves the order of the metadata to chance, and one
program shall have one file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import strict_json
from bnn_train.packed.errors import PackedFileError

Array = NDArray[Any]
PREFIX = 8
MAX_HEADER = 2**20
MAX_TENSORS = 4096
MAX_DIMENSIONS, MAX_SIZE, MAX_ELEMENTS = 5, 2**24, 2**36
METADATA = "__metadata__"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(code)
    for name, code in {"U8": "u1", "I8": "i1", "U16": "<u2", "I32": "<i4", "F32": "<f4"}.items()
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Entry:
    """A tensor's place: bytes [begin, end) after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def place(tensors: dict[str, Array]) -> list[Entry]:
    """The order and the places of tensors to be written. Raises PackedFileError for a type that the file has
    no name for."""
    found, begin = [], 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        if tensor.dtype not in _NAMES:
            raise PackedFileError(f"tensor {name}: the format has no {tensor.dtype}; convert it")
        found.append(Entry(name, _NAMES[tensor.dtype], tensor.shape, begin, begin + tensor.nbytes))
        begin += tensor.nbytes
    return found


def spell(entries: list[Entry], metadata: dict[str, str]) -> bytes:
    """Everything that stands before the tensors' bytes."""
    table = {
        entry.name: {
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "data_offsets": [entry.begin, entry.end],
        }
        for entry in entries
    }
    text = strict_json.dump({METADATA: metadata, **table}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(PREFIX, "little") + text


def header_length(prefix: bytes, size: int) -> int:
    """Bytes of the JSON object, from the first eight of a file of ``size`` bytes."""
    if len(prefix) < PREFIX or size < PREFIX + 2:
        raise PackedFileError(f"it ends after {size} bytes, before its header; copy it again")
    length = int.from_bytes(prefix, "little")
    if length > MAX_HEADER:
        raise PackedFileError(
            f"its first eight bytes promise a header of {length} bytes; at most {MAX_HEADER} are allowed"
        )
    if length > size - PREFIX:
        raise PackedFileError(f"its header of {length} bytes is cut off after {size - PREFIX}; copy it again")
    return length


def read_header(raw: bytes, payload: int) -> tuple[list[Entry], dict[str, str]]:
    """The table of tensors, in file order, and the metadata. ``payload``: bytes of the file after the header.

    Raises PackedFileError unless the tensors cover the payload exactly and the text is spelled as ``spell``
    does.
    """
    table = _table(raw)
    metadata = table.pop(METADATA, None)
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise PackedFileError("its header has no metadata; it is no packed file of bnn_train")
    if len(table) > MAX_TENSORS:
        raise PackedFileError(f"it announces {len(table)} tensors; at most {MAX_TENSORS} are allowed")
    entries = sorted(
        (_entry(name, row) for name, row in table.items()), key=lambda e: (e.begin, e.end, e.name)
    )
    _check_cover(entries, payload)
    return entries, metadata


def _table(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise PackedFileError("its header is not UTF-8; it is damaged or no packed file") from None
    table = strict_json.parse(text, "its header")
    if not isinstance(table, dict):
        raise PackedFileError("its header is no JSON object; it is no packed file of bnn_train")
    return table


def _entry(name: str, row: Any) -> Entry:
    if not _NAME.fullmatch(name):
        raise PackedFileError(
            f"a tensor is called {ascii(name)[:150]}; names are 1 to 128 of A-Z a-z 0-9 _ . -"
        )
    if not isinstance(row, dict) or set(row) != {"dtype", "shape", "data_offsets"}:
        raise PackedFileError(f"tensor {name}: its entry is not dtype, shape and data_offsets")
    if not isinstance(row["dtype"], str) or row["dtype"] not in DTYPES:
        raise PackedFileError(
            f"tensor {name}: its type is {ascii(row['dtype'])[:40]}, not one of {', '.join(DTYPES)}"
        )
    shape = _whole(name, "shape", row["shape"])
    offsets = _whole(name, "data_offsets", row["data_offsets"])
    _check_shape(name, shape)
    if len(offsets) != 2:
        raise PackedFileError(f"tensor {name}: data_offsets has {len(offsets)} numbers; it takes two")
    return Entry(name, row["dtype"], shape, offsets[0], offsets[1])


def _whole(name: str, key: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(v) is int and v >= 0 for v in value):
        raise PackedFileError(f"tensor {name}: {key} is no list of whole numbers from 0 on")
    return tuple(value)


def _check_shape(name: str, shape: tuple[int, ...]) -> None:
    if not 1 <= len(shape) <= MAX_DIMENSIONS:
        raise PackedFileError(
            f"tensor {name}: it has {len(shape)} dimensions; 1 to {MAX_DIMENSIONS} are allowed"
        )
    count = 1
    for size in shape:
        if not 1 <= size <= MAX_SIZE:
            raise PackedFileError(
                f"tensor {name}: a dimension is {str(size)[:40]}; 1 to {MAX_SIZE} are allowed"
            )
        count *= size
    if count > MAX_ELEMENTS:
        raise PackedFileError(f"tensor {name}: {count} elements; at most {MAX_ELEMENTS} are allowed")


def _check_cover(entries: list[Entry], payload: int) -> None:
    """No gap, no overlap, no end beyond the file, no bytes after the last, and the one order."""
    at = 0
    for entry in entries:
        count = 1
        for size in entry.shape:
            count *= size
        if entry.begin != at:
            what = "overlaps" if entry.begin < at else "leaves a gap to"
            raise PackedFileError(
                f"tensor {entry.name}: it begins at {entry.begin} and {what} the one before (ends at {at})"
            )
        if entry.end - entry.begin != count * DTYPES[entry.dtype].itemsize:
            raise PackedFileError(
                f"tensor {entry.name}: {entry.end - entry.begin} bytes do not hold its shape"
            )
        at = entry.end
    if at != payload:
        raise PackedFileError(
            f"its tensors end after {at} bytes, the file holds {payload}: it was cut or extended"
        )
    order = [(-DTYPES[e.dtype].itemsize, e.name) for e in entries]
    if order != sorted(order):
        raise PackedFileError("its tensors do not stand in the format's order; export it again")
