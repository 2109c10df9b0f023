"""Small subjects of the instruments, and what these say of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bnn_train.check.line import Line
from bnn_train.check.subject import Subject, open_subject
from bnn_train.training.checkpoint import Checkpoint
from bnn_train.training.progress import Progress
from tiny import tiny

Instrument = Callable[[Subject], Iterator[Line]]


def subject(**changes: Any) -> Subject:
    """The tiny experiment, of 32 images a batch."""
    data = {"batch_size": 32, **changes.pop("data", {})}
    return open_subject(tiny(Path("run"), data=data, **changes), None, None)


def after(s: Subject, step: int, epochs: int) -> Subject:
    """The same network, said to stand after so many steps and finished epochs; its optimizers are fresh."""
    history: list[dict[str, int | float | None]] = [{"epoch": epoch + 1} for epoch in range(epochs)]
    progress = Progress(step=step, epochs_finished=epochs, history=history)
    return dataclasses.replace(s, checkpoint=Checkpoint({}, {"progress": progress.to_json()}))


def lines(instrument: Instrument, s: Subject) -> dict[str, Line]:
    """By name; each name once."""
    found = list(instrument(s))
    by_name = {line.name: line for line in found}
    assert len(by_name) == len(found)
    return by_name


def verdicts(instrument: Instrument, s: Subject) -> dict[str, str]:
    return {name: line.verdict for name, line in lines(instrument, s).items()}
