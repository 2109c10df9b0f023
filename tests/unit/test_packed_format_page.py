"""``FORMAT.md`` names every record, field, step and limit of the format, and quotes sentences that exist."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from bnn_train.packed import layout, limits, operands, preprocess_rules, program
from bnn_train.packed.later import Later
from bnn_train.spec.record import Record

FOLDER = Path(program.__file__).parent
PAGE = (FOLDER / "FORMAT.md").read_text(encoding="utf-8")
SHARED = {"EpilogueStep"}
RECORDS = {
    name: cls
    for module in (operands, program)
    for name, cls in vars(module).items()
    if inspect.isclass(cls) and issubclass(cls, Record) and cls not in (Record, Later) and name not in SHARED
}
STEPS = get_args(get_args(program.Step)[0])


def quoted(word: str) -> bool:
    return f"`{word}`" in PAGE


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_records_and_fields(name: str) -> None:
    assert quoted(name)
    missing = [field for field in RECORDS[name].model_fields if not quoted(field) and field != "op"]
    assert missing == []


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_words_that_a_field_may_hold(name: str) -> None:
    for field in RECORDS[name].model_fields.values():
        kinds = [field.annotation, *get_args(field.annotation)]
        words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
        assert [word for word in words if not quoted(word)] == []


def test_steps() -> None:
    for step in STEPS:
        (op,) = get_args(step.model_fields["op"].annotation)
        assert f"| `{op}` (`{step.__name__}`) |" in PAGE


def test_preprocessing() -> None:
    for kind, settings in preprocess_rules.KINDS.items():
        assert f"| `{kind}` |" in PAGE
        assert all(quoted(name) for name in (*settings.options, *settings.tensors))


def test_types_of_tensors() -> None:
    assert all(quoted(dtype) for dtype in layout.DTYPES)


def test_limits() -> None:
    assert (limits.MAX_TAPS, limits.MAX_ALL_TAPS, limits.MAX_WORK) == (2**16, 2**20, 2**39)
    assert (limits.MAX_NUMBERS, limits.MAX_MAP) == (2**29 - 1, 2**31 - 1)
    row = next(line for line in PAGE.splitlines() if line.startswith("| 13 |"))
    assert all(
        text in row for text in ("2¹⁶ taps", "2²⁰ in all", "2³⁹ products", "2²⁹−1 numbers", "2³¹−1 bytes")
    )


def test_rules_are_counted_and_their_sentences_exist() -> None:
    rows = [
        line for line in PAGE.split("## 6.")[1].split("## 7.")[0].splitlines() if re.match(r"\| \d", line)
    ]
    assert [int(row.split("|")[1]) for row in rows] == list(range(1, 23))
    source = "".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.py")))
    source = re.sub(r'"\s*\n\s*f?"', "", source)
    for row in rows:
        for sentence in re.findall(r"`([^`]+)`", row.split("|")[3]):
            assert sentence in source, sentence


def test_versions() -> None:
    assert f"versions 1 and {program.VERSION}" in PAGE.splitlines()[0]
