"""All instruments, in the order in which a reader should believe them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.check.beginning import beginning, overfitting
from bnn_train.check.data_labels import labels
from bnn_train.check.data_pixels import pixels
from bnn_train.check.flips import flips
from bnn_train.check.gradients import gradients
from bnn_train.check.latents import latents
from bnn_train.check.line import Line
from bnn_train.check.norms import norms
from bnn_train.check.subject import Subject
from bnn_train.check.ties import ties
from bnn_train.check.twin import twin

INSTRUMENTS: tuple[Callable[[Subject], Iterator[Line]], ...] = (
    labels,
    pixels,
    norms,
    ties,
    latents,
    gradients,
    beginning,
    flips,
    overfitting,
    twin,
)


def check(subject: Subject) -> Iterator[Line]:
    """Each finding as soon as it is there. Nothing is written; the subject's network stays as it is."""
    for instrument in INSTRUMENTS:
        yield from instrument(subject)
