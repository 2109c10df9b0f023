"""Tables for people, against lines written by hand."""

from __future__ import annotations

from bnn_train.aligned import aligned

HEAD, BODY = ("layer", "bytes"), [("conv1", "1,024"), ("fc", "8")]


def test_with_a_total() -> None:
    assert aligned(HEAD, BODY, {0}, ("total", "11,032")) == [
        "layer   bytes",
        "─" * 13,
        "conv1   1,024",
        "fc          8",
        "─" * 13,
        "total  11,032",
    ]


def test_without() -> None:
    assert aligned(HEAD, BODY, ()) == ["layer  bytes", "─" * 12, "conv1  1,024", "   fc      8"]


def test_no_blanks_at_the_end() -> None:
    assert aligned(("a", "b"), [("x", "")], {0, 1})[2] == "x"
