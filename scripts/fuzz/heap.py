"""The heap of this process, as ``heap.c`` counts it."""

from __future__ import annotations

import ctypes


class Heap:
    """Growth of the heap; without the counter, always 0."""

    def __init__(self) -> None:
        own = ctypes.CDLL(None)
        self._mark = getattr(own, "heap_mark", None)
        self._most = getattr(own, "heap_most", None)
        self._start = 0
        for function in (self._mark, self._most):
            if function is not None:
                function.restype = ctypes.c_int64

    def mark(self) -> None:
        """From here on."""
        self._start = 0 if self._mark is None else self._mark()

    def growth(self) -> int:
        """The most bytes since the mark."""
        return 0 if self._most is None else self._most() - self._start
