"""Colours of a terminal; none where the reader is no terminal, under NO_COLOR, or on a dumb one."""

from __future__ import annotations

import os
from typing import TextIO

_CODES = {
    "error": "1;31",
    "wrong": "1;31",
    "warning": "33",
    "look": "33",
    "note": "36",
    "ok": "32",
    "top-1": "1",
}
"""By the word that a line begins with."""


def has_colours(stream: TextIO) -> bool:
    """Whether a stream's reader shows colours (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def coloured(line: str, stream: TextIO) -> str:
    """A line whose first word is painted by what it says, where ``stream`` shows colours."""
    word = line.split(maxsplit=1)[0].rstrip(":") if line.strip() else ""
    if word not in _CODES or not has_colours(stream):
        return line
    return line.replace(word, f"\x1b[{_CODES[word]}m{word}\x1b[0m", 1)
