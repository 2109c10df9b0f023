"""A table as data: a row is a config, what is laid over it, and what was published for it."""

from __future__ import annotations

from typing import Literal

from bnn_train.spec.record import Record


class Stage(Record):
    """A training before that of a row; the next one begins with its best checkpoint."""

    name: str
    """Also the ending of its runs' folders."""
    config: str
    """Below configs/, without .yaml."""
    overrides: tuple[str, ...] = ()
    feeds: Literal["start", "teacher"] = "start"
    """Its use for the next one: the weights to start from, or the teacher of its loss."""


class Row(Record):
    """One line of a table."""

    name: str
    """Also the folder of its runs."""
    config: str
    """Below configs/, without .yaml."""
    overrides: tuple[str, ...] = ()
    """As after ``--set``. A row that has some takes no published number from the config."""
    top1: float | None = None
    """The published number of a row with overrides."""
    source: str = ""
    """Paper and table of that number."""
    remark: str = ""
    """The paper's words on this row, where it has no number that compares."""
    stages: tuple[Stage, ...] = ()
    """Trained one after the other before the row's own config, which the last one feeds."""


class Table(Record):
    """Some rows that are read together."""

    name: str
    title: str
    folder: str
    """Below configs/: where its section of RESULTS.md stands."""
    rows: tuple[Row, ...]
