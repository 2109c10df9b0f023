"""Consistent files made to break or wear down the runtime: refused in a sentence before memory is taken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from bnn_train.packed import container, strict_json
from bnn_train.packed.errors import PackedFileError
from packed_damage import plain, put, small
from packed_hostile import bordered_chain, long_kernel, long_map, slow_pixels, wrapping_border

ROOT = Path(__file__).resolve().parents[2]
CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "border of 2^64 bytes": (wrapping_border, "padding is 8388608; its window allows at most 16"),
    "border of nearly 2^64 bytes": (
        lambda: wrapping_border(2**23 + 1, 65_529),
        "its window allows at most 16",
    ),
    "border of 2^33 bytes": (lambda: wrapping_border(2**15, 2, 2**16), "its window allows at most 16"),
    "many pixels of many bytes": (lambda: wrapping_border(16, 2**24, 33), "bytes with its border"),
    "another border for each step": (bordered_chain, "padding is 5000; its window allows at most 16"),
    "four thousand rows of taps": (long_kernel, "padding is 4095; its window allows at most 2048"),
    "sixty-five thousand rows of taps": (lambda: long_kernel(2**16, 2**15 + 1), "allows at most 32768"),
    "sixteen million rows": (long_map, "bytes, with the file"),
    "a slow preprocessing": (slow_pixels, "preprocessing one image takes"),
    "sixteen that are slow together": (lambda: slow_pixels(224, 31, 16), "preprocessing one image takes"),
}
WITHIN = """
import resource, sys
from bnn_train.packed import load
free = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        load(path)
    except Exception as error:
        print(type(error).__name__, error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - free) // 1024)
"""


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str) -> None:
    content, match = CASES[name]
    with pytest.raises(PackedFileError, match=match):
        container.unpack(content())


def test_nothing_is_taken_for_them(tmp_path: Path) -> None:
    """A process of its own opens all of them and grows by less than 100 MB."""
    paths = [tmp_path / f"{i}.bnn" for i in range(len(CASES))]
    for path, (content, _) in zip(paths, CASES.values(), strict=True):
        path.write_bytes(content())
    command = [sys.executable, "-c", WITHIN, *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    *said, grown = done.stdout.splitlines()
    assert [line.split()[0] for line in said] == ["PackedFileError"] * len(CASES), done.stderr
    assert int(grown) < 100


def test_near_the_bounds_they_are_files_like_others() -> None:
    """The same programs with what a network could have."""
    for content in (
        wrapping_border(16, 8, 33),
        bordered_chain(3, 10, 16),
        long_kernel(64, 32),
        long_map(4096),
        slow_pixels(32, 9),
    ):
        container.unpack(content)


def test_a_key_that_stands_twice_among_very_many() -> None:
    text = "{" + ",".join(f'"k{i}":0' for i in range(40_000)) + ',"k39999":1}'
    with pytest.raises(PackedFileError, match="the key 'k39999' stands there twice"):
        strict_json.parse(text, "it")


@pytest.mark.parametrize(
    ("path", "filling", "match"),
    [
        ("program.steps", [{}] * 100_000, r"program.steps.0: Unable to extract tag"),
        ("program.values", [0] * 100_000, r"program.values.0: Input should be"),
        ("classes", [0] * 100_000, r"classes.0: Input should be a valid string"),
    ],
)
def test_a_hundred_thousand_mistakes_are_one_sentence(path: str, filling: list[object], match: str) -> None:
    """The first is enough: telling them all would take seconds and a hundred megabytes."""
    with pytest.raises(PackedFileError, match=match) as told:
        container.parse_header(strict_json.dump(put(plain(small()[0]), path, filling)))
    cause = told.value.__context__
    assert isinstance(cause, ValidationError)
    assert cause.error_count() <= 2
