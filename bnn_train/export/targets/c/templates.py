"""The pieces of the C runtime, cut down to what a network needs.

A piece is C with lines `//: if WORD…`, `//: unless WORD…` and `//: end` around what only some networks need:
kept if any (none) of the words is among the network's features.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.resources import files

_MARK = "//:"
RUNTIME = ("types", "window", "bits", "pixels", "reals", "epilogue", "conv", "other", "answer")
"""In the order in which they stand in the file."""


def piece(name: str) -> str:
    """A file of this package's data, as text."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def cut(text: str, features: Collection[str], words: Mapping[str, str] = {}) -> str:
    """The lines that these features keep; every `@NAME@` replaced by its word."""
    kept: list[str] = []
    open_blocks: list[bool] = []
    for line in text.splitlines():
        mark, _, condition = line.strip().partition(_MARK)
        if mark or not line.strip().startswith(_MARK):
            if all(open_blocks):
                kept.append(line)
            continue
        verb, *names = condition.split()
        if verb == "end":
            open_blocks.pop()
        else:
            open_blocks.append(any(name in features for name in names) == (verb == "if"))
    result = "\n".join(kept) + "\n" if kept else ""
    for name, word in words.items():
        result = result.replace(f"@{name}@", word)
    return result
