"""Published work on binarization that is no row here, and why."""

from __future__ import annotations

from bnn_train.spec.record import Record


class Outside(Record):
    """Something of the field that this program does not do."""

    title: str
    year: int
    reason: str


OUTSIDE = (
    Outside(
        title="Object detection with binary weights and knowledge transfer (arXiv 1804.06332)",
        year=2018,
        reason="the detection task: this program classifies images; its loss between feature maps is the term"
        " `feature`",
    ),
)
