"""The YAML reader against the YAML 1.2 core schema (§10.3.2) and against hostile or broken text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from bnn_train.config.yaml_reader import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, parse, read_yaml
from bnn_train.errors import ConfigError


def value(text: str) -> Any:
    document = parse(f"x: {text}", lambda line: f"f:{line}")
    assert document is not None
    return document.data["x"]


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, lambda line: f"f:{line}")
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        ("5E-4", 0.0005),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", -math.inf),
        ("1e400", math.inf),
        ("010", 10),
        ("-7", -7),
        ("0o10", 8),
        ("0x1F", 31),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
    ],
)
def test_core_scalars(text: str, expected: Any) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "off",
        "NO",
        "yes",
        "y",
        "12:30:45",
        "2024-01-31",
        "1_000",
        "695e0514x",
        "0b11",
        "=",
        "nan",
        "inf",
    ],
)
def test_what_yaml_1_1_takes_for_something_else_stays_text(text: str) -> None:
    assert value(text) == text


def test_quoted_numbers_are_text() -> None:
    assert value("'1e-3'") == "1e-3"
    assert value('"128"') == "128"


def test_every_key_and_item_has_its_line() -> None:
    document = parse("a: 1\nb:\n  c: 2\n  d:\n  - 3\n  - {e: 4}\n", lambda line: f"f:{line}")
    assert document is not None
    lines = {path: place for path, place in document.positions.items() if path}
    assert lines == {
        ("a",): "f:1",
        ("b",): "f:2",
        ("b", "c"): "f:3",
        ("b", "d"): "f:4",
        ("b", "d", 0): "f:5",
        ("b", "d", 1): "f:6",
        ("b", "d", 1, "e"): "f:6",
    }


def test_duplicate_keys_are_all_told_with_both_lines() -> None:
    document = parse("a: 1\nb: {c: 1, c: 2}\n\na: 3\n", lambda line: f"f:{line}")
    assert document is not None
    assert document.problems == [
        "f:2: b.c: this key is already set at f:2",
        "f:4: a: this key is already set at f:1",
    ]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\tb: 1", "f:2:", "tab"),
        ("a: 1\nb: \x00", "f:2:", "U+0000"),
        ("a: !!python/name:os.system x", "f:1:", "tags"),
        ("a: !!int 3", "f:1:", "tags"),
        ("b: &b {c: 1}\na:\n  <<: *b", "f:3:", "merge keys"),
        ("a: 1\n---\nb: 1", "f:2:", "second document"),
        ("a: b: c", "f:1:", "not valid YAML"),
        ("a: [1,\nb", "f:2:", "not valid YAML"),
        ("a: *nowhere", "f:1:", "not valid YAML"),
        ("true: 1", "f:1:", "a key must be"),
        ("1.5: 1", "f:1:", "a key must be"),
        ("? [a]\n: 1", "f:1:", "a key must be"),
        ("a: " + "9" * 5000, "f:1:", "number"),
        ("a: 1." + "0" * 5000, "f:1:", "number"),
        ("[" * 3000, "f:1:", "nested deeper"),
        ("\n".join(" " * i + "a:" for i in range(300)), f"f:{MAX_DEPTH}:", "nested deeper"),
        ("a: &a [*a]", "f:1:", "levels"),
        ("a: &a 1\nb: [" + "*a, " * (MAX_ALIASES + 1) + "]", "f:2:", "aliases"),
    ],
)
def test_refusals_are_one_sentence_with_the_line(text: str, place: str, words: str) -> None:
    told = refusal(text)
    assert told.startswith(place)
    assert words in told
    assert ("not valid YAML" in told) == (words == "not valid YAML")  # the rest is valid, and refused


def test_alias_bomb_is_refused_before_it_unfolds() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    assert "values" in refusal("\n".join(rows))


def test_aliases_share_values() -> None:
    document = parse("a: &a [1, 2]\nb: *a\n", lambda line: "f")
    assert document is not None
    assert document.data["b"] == [1, 2]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty"),
        (b"# only a comment\n", "empty"),
        (b"name: caf\xe9\n", "not UTF-8 at byte 9"),
        ("a: 1".encode("utf-16"), "not UTF-8 at byte 0"),
        (b"a: " + b"x" * MAX_BYTES, "larger than"),
    ],
)
def test_unreadable_files(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match=words) as caught:
        read_yaml(path, "c.yaml")
    assert str(caught.value).startswith("c.yaml: ")


def test_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path, "c.yaml")


def test_byte_order_mark_and_crlf_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = read_yaml(path, "c.yaml")
    assert document.data == {"a": 1, "b": 2}
    assert document.positions["b",] == "c.yaml:2"
