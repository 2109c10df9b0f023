"""Long work outside Python that Ctrl-C can end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
_LOOK_S = 0.05


def interruptible(
    work: Callable[[], Result], stop: Callable[[], None], abandon: Callable[[Result], None] | None = None
) -> Result:
    """``work()``, which holds no lock of Python's, in a thread of its own.

    An interruption meanwhile calls ``stop()``, which makes ``work`` return soon, hands what it still returns
    to ``abandon``, and goes on as it came.
    """
    found: list[Result] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # told to the caller, whose thread it shall end
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_LOOK_S)
    except BaseException:
        stop()
        thread.join()
        if abandon is not None and found:
            abandon(found[0])
        raise
    if failed:
        raise failed[0]
    return found[0]
