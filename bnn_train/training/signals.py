"""Ctrl-C and SIGTERM: finish the step, save, leave; a second signal leaves at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

from bnn_train.errors import Interrupted

_HANDLED = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """While entered, a first signal only sets ``signal``; the loop asks for it between steps."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._former: dict[signal.Signals, object] = {}

    def __enter__(self) -> StopRequest:
        for number in _HANDLED:
            self._former[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        self._restore()  # the next one takes its usual course

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave
        self._former.clear()


def stopped(number: signal.Signals, when: str) -> Interrupted:
    """The end of a run by a signal; 128 + its number is the exit code, as a shell reports it."""
    return Interrupted(f"stopped by {number.name} {when}", 128 + int(number))
