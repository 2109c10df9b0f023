"""The packed file as a whole: header and tensors to bytes and back, digests checked before anything is used.

Metadata of the safetensors file: ``format``, ``version``, ``header`` (JSON of ``program.Header``),
``digests`` (SHA-256 of every tensor's bytes) and ``digest``, the SHA-256 over all of those and over names,
types and shapes. The same content is always the same bytes, and a file in any other spelling is refused.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from bnn_train.files import replace_file
from bnn_train.packed import layout, strict_json
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.layout import Entry
from bnn_train.packed.opening import opened
from bnn_train.packed.program import VERSION, Header
from bnn_train.packed.validate import check

Array = NDArray[Any]
FORMAT = "bnn_train packed"
_KEYS = {"format", "version", "header", "digests", "digest"}
MAX_DEPTH = 8
"""Of the header, the run's config apart."""


def pack(header: Header, tensors: dict[str, Array]) -> bytes:
    """The whole file. Raises PackedFileError for content that ``read`` would refuse."""
    arrays = {name: np.ascontiguousarray(_little(t)) for name, t in tensors.items()}
    check(header, arrays)
    text = strict_json.dump(header.model_dump())
    parse_header(text)
    return assemble(text, arrays, header.version)


def assemble(header: str, tensors: dict[str, Array], version: int = 1) -> bytes:
    """The file around a header's text, digests and all; nothing is checked but the header's length."""
    entries = layout.place(tensors)
    digests = strict_json.dump({e.name: hashlib.sha256(tensors[e.name].data).hexdigest() for e in entries})
    metadata = {"format": FORMAT, "version": str(version), "header": header, "digests": digests}
    head = layout.spell(entries, {**metadata, "digest": _digest(entries, metadata)})
    if len(head) - layout.PREFIX > layout.MAX_HEADER:
        raise PackedFileError(f"the header takes {len(head)} bytes; at most {layout.MAX_HEADER} are allowed")
    return b"".join([head, *(tensors[e.name].tobytes() for e in entries)])


def write(path: Path | str, header: Header, tensors: dict[str, Array]) -> None:
    """Save atomically and durably. Raises PackedFileError, the former file untouched, if the content breaks a
    rule or the disk refuses."""
    path = Path(path)
    content = pack(header, tensors)
    try:
        replace_file(path, lambda place: place.write_bytes(content))
    except OSError as error:
        raise PackedFileError(f"{path}: cannot be written: {error.strerror}") from error


def read(path: Path | str, memory_limit: int | None = None) -> tuple[Header, dict[str, Array]]:
    """A checked header and its tensors, read-only. ``memory_limit``: bytes that the file and all that is
    made of it may take; default: ``memory.default_limit``.

    Raises PackedFileError in one sentence for anything but an intact file of a version from 1 to ``VERSION``.
    """
    try:
        with opened(path) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PackedFileError("it is no regular file")
            return _read(file, status.st_size, memory_limit)
    except PackedFileError as error:
        raise PackedFileError(f"{path}: {error}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PackedFileError(f"{path}: cannot be read: {reason}") from None


def unpack(content: bytes, memory_limit: int | None = None) -> tuple[Header, dict[str, Array]]:
    """``read`` for a file in memory."""
    return _read(io.BytesIO(content), len(content), memory_limit)


def _read(file: BinaryIO, size: int, memory_limit: int | None) -> tuple[Header, dict[str, Array]]:
    if memory_limit is not None and size > memory_limit:
        raise PackedFileError(f"it has {size} bytes; the limit is {memory_limit}: raise memory_limit")
    length = layout.header_length(file.read(layout.PREFIX), size)
    raw = file.read(length)
    payload = size - layout.PREFIX - length
    entries, metadata = layout.read_header(raw, payload)
    _check_metadata(metadata)
    if layout.spell(entries, metadata)[layout.PREFIX :] != raw:
        raise PackedFileError("its header is in another form than the format's; export it again")
    content = file.read(payload)
    if len(content) != payload or file.read(1):
        raise PackedFileError("it changed while it was read; try again")
    _check_digests(entries, metadata, content)
    header = parse_header(metadata["header"])
    if str(header.version) != metadata["version"]:
        raise PackedFileError(
            f"its header is of version {header.version}, its metadata of {metadata['version']};"
            " it cannot be trusted"
        )
    tensors = {e.name: _tensor(e, content) for e in entries}
    check(header, tensors, memory_limit)
    return header, tensors


def parse_header(text: str) -> Header:
    """The header's text, typed. Raises PackedFileError naming the first field that does not fit."""
    raw = strict_json.parse(text, "the header")
    if isinstance(raw, dict):
        own = strict_json.dump({key: value for key, value in raw.items() if key != "experiment"})
        strict_json.parse(own, "the header", MAX_DEPTH)
    try:
        header = Header.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        raise PackedFileError(f"the header's {where or 'content'}: {first['msg']}") from None
    if strict_json.dump(header.model_dump()) != text:
        raise PackedFileError("the header is in another form than the format's; export the file again")
    return header


def _tensor(entry: Entry, content: bytes) -> Array:
    """A read-only view."""
    dtype = layout.DTYPES[entry.dtype]
    count = (entry.end - entry.begin) // dtype.itemsize
    return np.frombuffer(content, dtype, count, entry.begin).reshape(entry.shape)


def _digest(entries: list[Entry], metadata: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for key in ("format", "version", "header", "digests"):
        digest.update(f"{key} {len(metadata[key])} {metadata[key]}\n".encode())
    for entry in entries:
        digest.update(f"{entry.name} {entry.dtype} {entry.shape}\n".encode())
    return digest.hexdigest()


def _check_metadata(metadata: dict[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise PackedFileError("a safetensors file, but no packed file of bnn_train")
    version = metadata.get("version", "")
    if version not in map(str, range(1, VERSION + 1)):
        newer = version.isascii() and version.isdigit() and len(version) < 10 and int(version) > VERSION
        made = "it was made by a newer version of bnn_train" if newer else "there is no such version"
        raise PackedFileError(
            f"packed format {ascii(version)[:40]}, this bnn_train reads 1 to {VERSION}: {made}"
        )
    if set(metadata) != _KEYS:
        odd = sorted(set(metadata) ^ _KEYS)
        raise PackedFileError(
            f"its metadata lacks, or has too many: {ascii(odd)[:200]}; it cannot be trusted"
        )


def _check_digests(entries: list[Entry], metadata: dict[str, str], content: bytes) -> None:
    if metadata["digest"] != _digest(entries, metadata):
        raise PackedFileError("damaged: its header does not match its SHA-256; copy or export it again")
    digests = strict_json.parse(metadata["digests"], "the list of digests")
    if strict_json.dump(digests) != metadata["digests"]:
        raise PackedFileError("its list of digests is in another form than the format's; export it again")
    if not isinstance(digests, dict) or set(digests) != {e.name for e in entries}:
        raise PackedFileError("its list of digests does not name its tensors; export it again")
    view = memoryview(content)
    for entry in entries:
        if digests[entry.name] != hashlib.sha256(view[entry.begin : entry.end]).hexdigest():
            raise PackedFileError(
                f"damaged: tensor {entry.name} does not match its SHA-256; copy or export it again"
            )


def _little(tensor: Array) -> Array:
    return tensor.astype(tensor.dtype.newbyteorder("<"), copy=False)
