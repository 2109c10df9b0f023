"""Options of the format c, given by ``--with``."""

from __future__ import annotations

from pydantic import Field

from bnn_train.spec.record import Record


class COptions(Record):
    """Names of the C functions, and what is written beside them."""

    prefix: str = Field(default="bnn", pattern=r"^[a-z][a-z0-9_]{0,30}$")
    """Before the name of every function, type and macro, so that two networks link into one program."""
    logits: bool = True
    """`false`: the answer alone, without real numbers where the last layer allows it."""
