"""Whatever is done to a packed file, the reader answers with a PackedFileError and with nothing else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnn_train.packed import container, strict_json
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import Header
from packed_damage import Tensors, file_of, plain, planes, put, rich, small

MADE = small()
GOOD = container.pack(*MADE)
RICH = rich()
PLANES = planes()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def refused(content: bytes) -> None:
    with pytest.raises(PackedFileError):
        container.unpack(content)


def answered(content: bytes) -> None:
    """Accepted, and then in the one spelling, or refused in a sentence."""
    try:
        header, tensors = container.unpack(content)
    except PackedFileError as error:
        message = str(error)
    else:
        assert container.pack(header, tensors) == content
        return
    assert 0 < len(message) < 1000


def flips(count: int, seed: int) -> list[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    return list(
        zip(rng.integers(0, len(GOOD), count).tolist(), rng.integers(1, 256, count).tolist(), strict=True)
    )


def flip(at: int, bits: int) -> bytes:
    return GOOD[:at] + bytes([GOOD[at] ^ bits]) + GOOD[at + 1 :]


def test_a_changed_byte() -> None:
    for at, bits in flips(600, 0):
        refused(flip(at, bits))


def test_a_file_cut_short_anywhere() -> None:
    for size in range(0, len(GOOD), 7):
        refused(GOOD[:size])


def test_bytes_more_or_less_inside() -> None:
    rng = np.random.default_rng(1)
    for at in rng.integers(0, len(GOOD), 200).tolist():
        refused(GOOD[:at] + bytes([int(rng.integers(256))]) + GOOD[at:])
        refused(GOOD[:at] + GOOD[at + 1 :])


@pytest.mark.slow
def test_every_bit_of_every_byte_changed() -> None:
    for at in range(len(GOOD)):
        for bits in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            refused(flip(at, bits))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    refused(content)
    refused(len(content).to_bytes(8, "little") + content)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_any_json_for_a_header(value: Any) -> None:
    refused(file_of(value, {}))
    text = json.dumps(value).encode()
    refused(len(text).to_bytes(8, "little") + text)


def paths(raw: Any, front: str = "") -> list[str]:
    """Every field of a header."""
    if isinstance(raw, dict | list):
        items = raw.items() if isinstance(raw, dict) else enumerate(raw)
        return [p for key, inner in items for p in (f"{front}{key}", *paths(inner, f"{front}{key}."))]
    return []


PATHS = {id(made): paths(plain(made[0])) for made in (MADE, RICH, PLANES)}
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        -1,
        0,
        1,
        2,
        3,
        7,
        2**24,
        2**31,
        2**63,
        2**64,
        0.5,
        True,
        "",
        "bits",
        "f32",
        {"count": 2},
        "conv.f",
        [],
        {},
        [1, 1],
        [0, 0],
    ]
)


def mutated(data: st.DataObject, made: Any) -> bytes:
    raw = plain(made[0])
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(PATHS[id(made)]))
        try:
            raw = put(raw, path, data.draw(VALUES | JSON))
        except (KeyError, TypeError, IndexError, ValueError):  # an earlier change removed the place
            continue
    return file_of(raw, made[1], made[0].version)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_field_of_the_header_changed(data: st.DataObject) -> None:
    answered(mutated(data, data.draw(st.sampled_from([MADE, RICH, PLANES]))))


@pytest.mark.slow
@settings(max_examples=5_000, deadline=None)
@given(st.data())
def test_fields_of_the_header_changed_at_length(data: st.DataObject) -> None:
    answered(mutated(data, data.draw(st.sampled_from([MADE, RICH, PLANES]))))


@pytest.mark.parametrize("made", [RICH, PLANES], ids=["rich", "planes"])
def test_tensors_exchanged(made: tuple[Header, Tensors]) -> None:
    header, tensors = made
    text = strict_json.dump(plain(header))
    for a in tensors:
        for b in tensors:
            answered(container.assemble(text, {**tensors, a: tensors[b]}, header.version))
        for dtype in ("u1", "i1", "<u2", "<i4", "<f4"):
            answered(container.assemble(text, {**tensors, a: np.ones((1, 1), dtype)}, header.version))
