"""A finding of an instrument: one line, with a verdict, a measured value, the band it was held against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "look", "wrong"]
Band = tuple[float, float]
ORDER: tuple[Verdict, ...] = ("ok", "look", "wrong")
OURS = "our judgement"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One finding."""

    name: str
    """Instrument, and what it measured."""
    verdict: Verdict
    """`look`: unusual, may be meant; `wrong`: will cost accuracy, or is a mistake."""
    measured: str
    healthy: str
    """The band that counts as ok."""
    source: str = OURS
    """Where the band is from."""
    advice: str = ""
    """The remedy, a sentence; told unless the verdict is ok."""

    def __str__(self) -> str:
        text = (
            f"{self.verdict:<5}  {self.name:<17}  {self.measured}  [healthy: {self.healthy}; {self.source}]"
        )
        return text if self.verdict == "ok" or not self.advice else f"{text}\n       → {self.advice}"


def judge(value: float, *, ok: Band, look: Band) -> Verdict:
    """By the narrowest closed band that holds the value; NaN lies in none."""
    if ok[0] <= value <= ok[1]:
        return "ok"
    return "look" if look[0] <= value <= look[1] else "wrong"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The gravest of them; ok where there is none."""
    return max(verdicts, key=ORDER.index, default="ok")


def percent(share: float) -> str:
    """A share with three digits, for example ``0.0123 %``."""
    return f"{100 * share:.3g} %"


def some(names: Iterable[str], most: int = 4) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
