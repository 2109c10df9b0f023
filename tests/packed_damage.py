"""A small packed file and ways to break it so that the break, and not a digest, is what the reader meets."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import container, layout, strict_json
from bnn_train.packed.program import Header, Planes, Preprocess
from packed_programs import Maker, header_of, single_conv

Array = NDArray[Any]
Tensors = dict[str, Array]


def small() -> tuple[Header, Tensors]:
    """Pixels × digits → bits → logits: 4×4×3 → 4×4×5 → 5."""
    made = single_conv(
        source="u8",
        size=(4, 4),
        channels=3,
        outputs=5,
        weight="int1",
        parts="",
        whole_thresholds=True,
        results="bits",
    )
    return header_of(made), made.tensors


def rich() -> tuple[Header, Tensors]:
    """A real input behind a preprocessing with statistics, bits with 3 unused, every line of the epilogue, a
    pool."""
    parts = "scale input_scale classes norm residual"
    made = single_conv(size=(4, 4), channels=3, outputs=5, parts=parts, activation="relu")
    header = header_of(made)
    step = Preprocess(kind="mean_std", tensors={"mean": "pre.mean", "std": "pre.std"})
    images = header.images.model_copy(update={"preprocess": (step,)})
    m = Maker(5)
    m.reals("pre.mean", 3)
    m.tensor("pre.std", np.ones(3), np.float32)
    return header.model_copy(update={"images": images}), {**made.tensors, **m.tensors}


def planes() -> tuple[Header, Tensors]:
    """A file of version 2: factors on both sides of one product, and bits of planes behind it."""
    made = single_conv(
        size=(4, 4), channels=3, outputs=5, source=Planes(count=2), weight=Planes(count=3),
        code=Planes(count=2), parts="scale",
    )  # fmt: skip
    return header_of(made), made.tensors


def plain(header: Header) -> dict[str, Any]:
    """The header as JSON has it."""
    found: dict[str, Any] = header.model_dump(mode="json")
    return found


def put(raw: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the field at ``a.0.b`` set."""
    raw = copy.deepcopy(raw)
    *front, last = path.split(".")
    at: Any = raw
    for key in front:
        at = at[int(key)] if isinstance(at, list) else at[key]
    at[int(last) if isinstance(at, list) else last] = value
    return raw


def file_of(raw: dict[str, Any], tensors: Tensors, version: int = 1) -> bytes:
    """The file with this header, whatever it says, and right digests."""
    return container.assemble(strict_json.dump(raw), tensors, version)


def with_field(made: tuple[Header, Tensors], path: str, value: Any) -> bytes:
    """The file with one field of the header changed."""
    return file_of(put(plain(made[0]), path, value), made[1])


def with_tensor(made: tuple[Header, Tensors], name: str, change: Callable[[Array], Array]) -> bytes:
    """The file with one tensor changed; ``change`` gets a copy."""
    header, tensors = made
    return file_of(plain(header), {**tensors, name: change(tensors[name].copy())})


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The outer header as JSON and the bytes behind it."""
    length = int.from_bytes(content[: layout.PREFIX], "little")
    end = layout.PREFIX + length
    return json.loads(content[layout.PREFIX : end]), content[end:]


def with_outer(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The file with its outer header changed; digests stay as they were."""
    outer, payload = parts(content)
    change(outer)
    return framed(json.dumps(outer, separators=(",", ":")).encode(), payload)


def framed(text: bytes, payload: bytes) -> bytes:
    """A file with this text for its outer header."""
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(layout.PREFIX, "little") + text + payload


def with_metadata(content: bytes, **changes: str | None) -> bytes:
    """The file with metadata replaced (None: removed) and the outer digest made right again, if one is
    there."""

    def change(outer: dict[str, Any]) -> None:
        metadata = outer[layout.METADATA]
        for key, value in changes.items():
            metadata.pop(key, None)
            if value is not None:
                metadata[key] = value
        if (
            "digest" in metadata
            and "digest" not in changes
            and {"format", "version", "header", "digests"} <= set(metadata)
        ):
            entries, _ = layout.read_header(json.dumps(outer).encode(), len(parts(content)[1]))
            metadata["digest"] = container._digest(entries, metadata)
        outer[layout.METADATA] = dict(sorted(metadata.items()))

    return with_outer(content, change)
