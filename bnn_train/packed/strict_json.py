"""JSON in one spelling, read strictly: text from a packed file is untrusted.

Written: ASCII, keys sorted, no spaces, no NaN. Read: as RFC 8259 and nothing more, each key once, numbers
finite, strings that UTF-8 can hold, and nesting counted before the parser sees the text.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from bnn_train.packed.errors import PackedFileError

MAX_DEPTH = 64
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
"""To the closing quote or, where there is none, to the end: linear for any text."""


def dump(value: Any) -> str:
    """The one spelling of a value. Raises PackedFileError for what JSON cannot hold."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise PackedFileError(f"the header holds what JSON cannot: {error}") from None


def parse(text: str, what: str, depth: int = MAX_DEPTH) -> Any:
    """The value of ``text``. ``what`` names it in messages. Raises PackedFileError."""
    if nesting(text) > depth:
        raise PackedFileError(
            f"{what} is nested more than {depth} deep; this is no file of bnn_train's making"
        )
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()  # fails for a lone surrogate, half a character
    except PackedFileError as error:
        raise PackedFileError(f"{what}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise PackedFileError(f"{what} is not JSON ({error}); the file is damaged") from None
    return value


def nesting(text: str) -> int:
    """The deepest bracket of a JSON text, those inside strings not counted."""
    deepest = level = 0
    for bracket in re.findall(r"[\[{}\]]", _STRING.sub("", text)):
        level += 1 if bracket in "[{" else -1
        deepest = max(deepest, level)
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise PackedFileError(f"the key {ascii(name)[:80]} stands there twice")
        found[name] = value
    return found


def _constant(name: str) -> NoReturn:
    raise PackedFileError(f"the number {name} is not finite")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise PackedFileError(f"the number {text[:40]} is not finite")
    return value
