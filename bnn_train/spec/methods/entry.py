"""A row of the table of methods: the method as data, and what the field knows of it."""

from __future__ import annotations

from pydantic import Field

from bnn_train.spec.method import Method
from bnn_train.spec.record import Record


class Published(Record):
    """A published accuracy."""

    data: str
    network: str
    top1: float = Field(gt=0, le=100)
    """Per cent."""
    bits: str = "1/1"
    """Of weights and activations where the row's own are others: `1/2`, `T/32` (ternary), `4/4`."""
    source: str = ""
    """Whose number it is, where not the paper's own."""


class Entry(Record):
    """A published method, its origin, and where to start with it."""

    method: Method
    title: str
    """The name that it has in the field."""
    year: int = Field(ge=1980)
    """Of its first publication."""
    parent: str = ""
    """The row that it changes; empty for a root of the family tree."""
    published: tuple[Published, ...] = ()
    trainer: str = ""
    """The optimizer of its binary weights (``optimizer.binary``), where the method is one."""
    optimizer: str = ""
    """The optimizer of all its numbers (``optimizer``), where the method is one."""
    start: str = "quickstart.yaml"
    """A config below `configs/` that trains it as it stands; the quickstart takes `--set method=NAME`."""
    note: str = ""
    """A sentence on what this row leaves out of the paper, or decides where the paper is silent."""

    @property
    def name(self) -> str:
        """The row's name in a config."""
        return self.method.name


def variant(row: Method, name: str, **axes: object) -> Method:
    """A row with other values on some axes."""
    return row.model_copy(update={"name": name, **axes})
