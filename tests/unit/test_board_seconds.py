"""A second publishing of the same runs of the board adds no training time."""

from __future__ import annotations

from reproduction.board_runs import _seconds


def test_a_run_counts_once() -> None:
    first, second = {"top1": {"1": 40.0}, "seconds": 3.0}, {"top1": {"2": 41.0}, "seconds": 5.0}
    both = {"top1": {"1": 40.0, "2": 41.0}, "seconds": _seconds(second, first)}
    assert both["seconds"] == 8.0
    assert _seconds(second, both) == 8.0
    assert _seconds({"top1": {}, "seconds": 0.0}, both) == 8.0
    assert _seconds(both, first) == 8.0
