"""A stop signal that comes after a given step."""

from __future__ import annotations

import signal


class StopAfter:
    """Stands in for the signal handler: the signal arrives during step n of this start."""

    def __init__(self, steps: int) -> None:
        self.left, self.exit_code = steps, 143

    def __enter__(self) -> StopAfter:
        return self

    def __exit__(self, *error: object) -> None: ...

    @property
    def signal(self) -> signal.Signals | None:
        self.left -= 1
        return signal.SIGTERM if self.left <= 0 else None
