"""The rules of the packed format for the file as such: size, header, table of tensors, digests. Rule by
rule."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from bnn_train.packed import container, layout, strict_json
from bnn_train.packed.errors import PackedFileError
from packed_damage import file_of, framed, parts, plain, put, small, with_metadata, with_outer

GOOD = container.pack(*small())


def refused(content: bytes, match: str) -> None:
    with pytest.raises(PackedFileError, match=match):
        container.unpack(content)


def test_the_file_itself_is_accepted() -> None:
    header, tensors = container.unpack(GOOD)
    assert header == small()[0]
    assert all(
        (tensors[name] == t).all() and not tensors[name].flags.writeable for name, t in small()[1].items()
    )


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9])
def test_rule_1_a_file_without_room_for_a_header(size: int) -> None:
    refused(GOOD[:size], "ends after")


def test_rule_1_another_format() -> None:
    refused(with_metadata(GOOD, format="pt"), "no packed file")
    refused(with_metadata(GOOD, format=None), "no packed file")
    refused(with_outer(GOOD, lambda outer: outer.pop(layout.METADATA)), "no packed file")


@pytest.mark.parametrize("version", ["0", "-1", "", "x", "1.0", "01", "²", "9" * 30])
def test_rule_1_no_such_version(version: str) -> None:
    refused(with_metadata(GOOD, version=version), "no such version")


@pytest.mark.parametrize("version", ["3", "17"])
def test_rule_1_a_newer_version(version: str) -> None:
    refused(with_metadata(GOOD, version=version), "made by a newer version")


@pytest.mark.parametrize("length", [layout.MAX_HEADER + 1, 2**32, 2**63, 2**64 - 1])
def test_rule_2_a_header_beyond_the_limit(length: int) -> None:
    refused(length.to_bytes(8, "little") + GOOD[8:], "promise a header")


def test_rule_2_a_header_beyond_the_file() -> None:
    refused(len(GOOD).to_bytes(8, "little") + GOOD[8:], "cut off")


def test_rule_2_the_writer_keeps_to_the_limit() -> None:
    header, tensors = small()
    with pytest.raises(PackedFileError, match="at most"):
        container.pack(header.model_copy(update={"experiment": {"note": "x" * layout.MAX_HEADER}}), tensors)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"\xff\xfe{}", "not UTF-8"),
        (b"", "ends after"),
        (b" " * 8, "not JSON"),
        (b"{", "not JSON"),
        (b'{"a', "not JSON"),
        (b"[]", "no JSON object"),
        (b"7", "no JSON object"),
        (b'{"a":1,"a":1}', "twice"),
        (b'{"__metadata__":{"format":"a","format":"b"}}', "twice"),
        (b'{"a":NaN}', "not finite"),
        (b'{"a":-Infinity}', "not finite"),
        (b'{"a":1e999}', "not finite"),
        (b'{"a":"\\ud800"}', "not JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "nested"),
        (b"[" * 500_000, "nested"),
        (b'{"' * 200_000, "nested"),
        (b'"' + b'\\"' * 400_000, "not JSON"),
    ],
)
def test_rule_3_hostile_text(text: bytes, match: str) -> None:
    refused(framed(text, b""), match)


def test_rule_3_an_unknown_key_of_the_metadata() -> None:
    refused(with_metadata(GOOD, compression="none"), "too many")


def entry(**fields: Any) -> dict[str, Any]:
    return {"dtype": "U8", "shape": [1], "data_offsets": [0, 1], **fields}


def table(**entries: Any) -> bytes:
    """A file of one byte with these tensors in its table."""
    return framed(json.dumps({layout.METADATA: {}, **entries}).encode(), b"\0")


def test_rule_4_too_many_tensors() -> None:
    refused(table(**{f"t{i}": entry() for i in range(layout.MAX_TENSORS + 1)}), "at most 4096")


@pytest.mark.parametrize("name", ["", "a b", "../a", "a/b", "ä", "a\n", "a\0", "x" * 129])
def test_rule_4_names(name: str) -> None:
    refused(table(**{name: entry()}), "names are")


@pytest.mark.parametrize("dtype", ["F64", "BOOL", "u8", "", 3, None, ["U8"], {}])
def test_rule_5_types(dtype: Any) -> None:
    refused(table(a=entry(dtype=dtype)), "its type is")


@pytest.mark.parametrize("row", [3, [], {}, {"dtype": "U8"}, {**entry(), "more": 1}])
def test_rule_5_an_entry_that_is_none(row: Any) -> None:
    refused(table(a=row), "its entry is not")


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ([], "0 dimensions"),
        ([1] * 6, "6 dimensions"),
        ([0], "a dimension is 0"),
        ([3, 0], "a dimension is 0"),
        ([2**24 + 1], "a dimension is"),
        ([2**64], "a dimension is"),
        ([10**4000], "a dimension is"),
        ([2**24, 2**13], "elements"),
        ([2**24] * 5, "elements"),
        ([-1], "no list of whole"),
        ([1.0], "no list of whole"),
        ([True], "no list of whole"),
        (["1"], "no list of whole"),
        (1, "no list of whole"),
        (None, "no list of whole"),
    ],
)
def test_rule_6_shapes(shape: Any, match: str) -> None:
    refused(table(a=entry(shape=shape)), match)


@pytest.mark.parametrize(
    "fields", [{"shape": [2]}, {"dtype": "F32"}, {"shape": [2**24, 2**12]}, {"data_offsets": [0, 0]}]
)
def test_rule_7_bytes_that_do_not_hold_the_shape(fields: dict[str, Any]) -> None:
    refused(table(a=entry(**fields)), "do not hold")


def test_rule_8_gap_overlap_tail() -> None:
    refused(table(a=entry(data_offsets=[1, 2])), "gap")
    refused(table(a=entry(), b=entry(data_offsets=[2, 3])), "gap")
    refused(table(a=entry(), b=entry()), "overlaps")
    refused(table(a=entry(shape=[2], data_offsets=[0, 2])), "cut or extended")
    refused(table(a=entry(data_offsets=[2**64, 2**64 + 1])), "gap")
    refused(table(), "cut or extended")
    refused(GOOD + b"\0", "cut or extended")
    refused(GOOD[:-1], "cut or extended")


@pytest.mark.parametrize("offsets", [[0], [0, 1, 2], [-1, 0], [0.0, 1.0], "01", None])
def test_rule_8_offsets_that_are_none(offsets: Any) -> None:
    refused(table(a=entry(data_offsets=offsets)), "data_offsets")


def test_rule_8_one_order() -> None:
    rows = {layout.METADATA: {}, "b": entry(), "a": entry(data_offsets=[1, 2])}
    refused(framed(json.dumps(rows).encode(), b"\0\0"), "order")
    rows = {layout.METADATA: {}, "a": entry(), "b": entry(dtype="U16", data_offsets=[1, 3])}
    refused(framed(json.dumps(rows).encode(), b"\0\0\0"), "order")


def test_rule_14_damage() -> None:
    refused(GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "does not match its SHA-256")
    text = parts(GOOD)[0][layout.METADATA]["header"]
    changed = text.replace('"made_by":"tests"', '"made_by":"texts"')
    refused(with_metadata(GOOD, header=changed, digest="0" * 64), "header does not match its SHA-256")


def test_rule_15_texts_are_only_texts() -> None:
    header, tensors = small()
    odd = ("../../etc/passwd", "%s%n{0}", "\x00\x1b[31m$(reboot)")
    read, _ = container.unpack(container.pack(header.model_copy(update={"classes": odd}), tensors))
    assert read.classes == odd


def test_rule_16_one_spelling(tmp_path: Path) -> None:
    container.write(tmp_path / "a.bnn", *container.unpack(GOOD))
    assert (tmp_path / "a.bnn").read_bytes() == GOOD
    outer, payload = parts(GOOD)
    refused(framed(json.dumps(outer).encode(), payload), "in another form")
    refused(
        framed(json.dumps(outer, separators=(",", ":")).encode() + b" " * 8, payload),
        "in another form",
    )
    refused(
        with_metadata(GOOD, header=outer[layout.METADATA]["header"] + " "),
        "header is in another form",
    )
    refused(
        with_metadata(GOOD, digests=outer[layout.METADATA]["digests"] + " "),
        "digests is in another form",
    )
    raw = plain(small()[0])
    del raw["images"]["resize"]  # a default left out is another spelling
    refused(file_of(raw, small()[1]), "in another form")


def test_rule_18_a_tiny_file_takes_little_memory() -> None:
    content = table(a=entry(dtype="F32", shape=[2**24, 2**12], data_offsets=[0, 2**38]))
    tracemalloc.start()
    refused(content, "cut or extended")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_rule_19_a_file_that_changes_while_it_is_read() -> None:
    for content in (GOOD + b"\0", GOOD[:-1]):
        with pytest.raises(PackedFileError, match="changed"):
            container._read(io.BytesIO(content), len(GOOD), 2**30)


@pytest.mark.parametrize("key", ["digest", "digests", "header"])
def test_rule_20_a_missing_digest(key: str) -> None:
    refused(with_metadata(GOOD, **{key: None}), "lacks")


def test_rule_20_a_tensor_without_digest() -> None:
    digests = json.loads(parts(GOOD)[0][layout.METADATA]["digests"])
    digests.popitem()
    refused(with_metadata(GOOD, digests=strict_json.dump(digests)), "does not name its tensors")
    refused(with_metadata(GOOD, digests="[]"), "does not name its tensors")


def test_rule_3_header_depth() -> None:
    raw = put(plain(small()[0]), "images.preprocess", [[[[[[[[1]]]]]]]])
    refused(file_of(raw, small()[1]), "nested more than 8")
    deep: Any = 1
    for _ in range(20):
        deep = [deep]
    header = small()[0].model_copy(update={"experiment": {"deep": deep}})
    assert container.unpack(container.pack(header, small()[1]))[0] == header
