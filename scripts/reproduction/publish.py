"""A table's section in the RESULTS.md beside its configs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bnn_train.errors import RunError
from reproduction.results import markdown

BEGIN, END = "<!-- table {} -->\n", "<!-- end of {} -->\n"
PREFACE = (
    "# Results\n\nWritten by `python scripts/reproduce.py TABLE --publish`; what is not here was not run.\n"
)


def published(path: Path, result: Mapping[str, Any]) -> str:
    """The text of a RESULTS.md with this section in the place of its former one, or at the end.

    A table cut by ``--fast`` or changed by ``--set`` has a section of its own. Raises RunError for a file
    that is damaged, or whose section has numbers of rows that ``result`` has not.
    """
    text = _read(path)
    begin, end = BEGIN.format(key_of(result)), END.format(key_of(result))
    section = f"{begin}{markdown(result)}{end}"
    before, found, rest = text.partition(begin)
    if not found:
        return f"{text}\n{section}"
    former, ended, after = rest.partition(end)
    if not ended:
        raise RunError(f"{path}: the line {end.strip()!r} is missing; put it back where that section ends")
    _refuse_loss(path, former, result)
    return before + section + after


def key_of(result: Mapping[str, Any]) -> str:
    """The name of a table as it was run: cut and changed ones have their own."""
    fast = [] if result["fast"] is None else [f"fast{result['fast']}"]
    return " ".join([result["table"], *fast, *result["set"]]).replace("--", "—")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return PREFACE
    except UnicodeDecodeError:
        raise RunError(f"{path}: is not UTF-8 text; repair or remove it, then publish again") from None


def _refuse_loss(path: Path, former: str, result: Mapping[str, Any]) -> None:
    missing = [row["row"] for row in result["rows"] if not row["top1"]]
    lost = [name for name in missing if f"\n| `{name}` |" in former and not _is_empty(former, name)]
    if lost:
        raise RunError(
            f"{path}: has numbers for {', '.join(lost)}, which --out does not hold; run these rows, too, or"
            " remove the section first"
        )


def _is_empty(former: str, name: str) -> bool:
    """Whether the line of a row says that it was not run, or failed."""
    line = former.partition(f"\n| `{name}` |")[2].partition("\n")[0]
    return line.rstrip(" |").endswith("not run") or " failed: " in line
