"""The voice of a run: quiet, usual and verbose; the log file; a line every minute where there is no bar."""

from __future__ import annotations

import io
import logging
import re
from pathlib import Path

import pytest

from bnn_train.colours import coloured
from bnn_train.training.console import LOG, MINUTE, QUIET, USUAL, VERBOSE, Console


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def said(console: Console, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    console.line("a result")
    console.note("note: a remark")
    console.warn("warning: a fault")
    console.detail("a detail")
    captured = capsys.readouterr()
    return captured.out, captured.err


@pytest.mark.parametrize(
    ("verbosity", "out", "err"),
    [
        (QUIET, "", "warning: a fault\n"),
        (USUAL, "a result\n", "note: a remark\nwarning: a fault\n"),
        (VERBOSE, "a result\n", "note: a remark\nwarning: a fault\na detail\n"),
    ],
)
def test_how_much_is_said(verbosity: int, out: str, err: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(Console(verbosity), capsys) == (out, err)


def test_the_log_has_all_of_it_whatever_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(QUIET)
    console.note("before the folder was there")

    def fails() -> None:
        with console.logging_to(tmp_path / LOG):
            said(console, capsys)
            logging.getLogger("bnn_train.report.metrics").warning("warning: some metrics are lost")
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fails()
    with console.logging_to(tmp_path / LOG):
        console.record("a second start")
    lines = (tmp_path / LOG).read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in lines)
    assert [line[21:] for line in lines] == [
        "before the folder was there",
        "a result",
        "note: a remark",
        "warning: a fault",
        "a detail",
        "warning: some metrics are lost",
        "ended by ValueError: wrong",
        "a second start",
    ]
    assert "some metrics are lost" in capsys.readouterr().err


def test_no_place_for_a_log_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    with console.logging_to(tmp_path / "nowhere" / LOG):
        console.line("goes on")
    captured = capsys.readouterr()
    assert captured.out == "goes on\n"
    assert "keeps no log" in captured.err


def test_a_line_every_minute_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 0.0, 1.0, MINUTE, MINUTE + 1, 2 * MINUTE])
    console = Console(clock=lambda: next(clock))
    asked = 0

    def told() -> tuple[str, str]:
        nonlocal asked
        asked += 1
        return "epoch 1  step 3 of 9", "loss 0.5000"

    bar = console.bar(range(4), name="epoch 1")
    for _ in bar:
        console.beat(bar, told)
    assert asked == 2
    assert capsys.readouterr().err == 2 * "epoch 1  step 3 of 9  loss 0.5000\n"


def test_a_live_loss_beside_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    clock = iter([0.0, 0.0, 2.0, 4.0])
    console = Console(clock=lambda: next(clock))
    bar = console.bar(range(2), name="epoch 1")
    for _ in bar:
        console.beat(bar, lambda: ("", "loss 0.5000"))
        bar.refresh()
    assert "loss 0.5000" in terminal.getvalue()


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert coloured("error: x", io.StringIO()) == "error: x"
    assert coloured("error: x", _Terminal()) == "\x1b[1;31merror\x1b[0m: x"
    assert coloured("epoch 1", _Terminal()) == "epoch 1"
    assert coloured("", _Terminal()) == ""
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured("error: x", _Terminal()) == "error: x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert coloured("error: x", _Terminal()) == "error: x"
