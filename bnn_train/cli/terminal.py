"""Standard output and error that take any text and outlive their reader."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from bnn_train.errors import RunError

_STREAMS = ("stdout", "stderr")


class Terminal(io.TextIOWrapper):
    """A text stream whose faults wait: what its encoding lacks becomes ``?``, and where it can't be written
    (its reader left, the disk is full) the text is dropped, so that a training goes on."""

    fault: OSError | None = None
    """The first one."""
    former: TextIO | None = None
    """The stream that this one stands for; it would close their common buffer if it went away."""

    def write(self, text: str, /) -> int:
        """As ever, but nothing is raised."""
        with self._patience():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """As ever, but nothing is raised."""
        with self._patience():
            super().flush()

    @contextmanager
    def _patience(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.fault = self.fault or error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # what is still buffered goes there, too
            os.close(nowhere)


def prepare() -> None:
    """Make this process's output streams safe to print to. The first thing that a command does."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed by whoever started us: the next file opened would take its number
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for descriptor, name in enumerate(_STREAMS, start=1):
        stream = getattr(sys, name)
        if stream is None or type(stream) is io.TextIOWrapper:
            setattr(sys, name, _terminal(stream, descriptor))
        elif not isinstance(stream, Terminal) and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _terminal(stream: TextIO | None, descriptor: int) -> Terminal:
    if not isinstance(stream, io.TextIOWrapper):
        return Terminal(open(descriptor, "wb", closefd=False), "utf-8", "replace")  # for good
    stream.flush()
    # stderr escapes by itself; of a name that is no text, it then shows every byte
    errors = stream.errors if stream.errors == "backslashreplace" else "replace"
    terminal = Terminal(
        stream.buffer,
        stream.encoding,
        errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
    terminal.former = stream
    return terminal


def is_utf8() -> bool:
    """Whether standard output takes every character."""
    return codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"


def settle() -> None:
    """Write what is buffered. Raises RunError where results were lost, but not where nobody reads them."""
    for name in _STREAMS:
        getattr(sys, name).flush()
    fault = getattr(sys.stdout, "fault", None)
    if fault is not None and fault.errno != errno.EPIPE:
        raise RunError(f"standard output: {fault.strerror}; what was printed is incomplete")
