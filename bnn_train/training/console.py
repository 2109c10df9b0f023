"""The voice of a run: what it tells on the terminal, and in the log file of its folder."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, TypeVar

from tqdm import tqdm

from bnn_train.colours import coloured
from bnn_train.config.local import shown_words

LOG = "log.txt"
SILENT, QUIET, USUAL, VERBOSE = -2, -1, 0, 1
SECOND, MINUTE = 1.0, 60.0
T = TypeVar("T")


class Console:
    """Lines go to the terminal as far as ``verbosity`` allows, and all of them to the log, with the time."""

    def __init__(self, verbosity: int = USUAL, clock: Callable[[], float] = time.monotonic) -> None:
        self._verbosity, self._clock = verbosity, clock
        self._log: TextIO | None = None
        self._before: list[str] = []
        self._beaten = clock()

    def line(self, text: str) -> None:
        """A result, on stdout."""
        self._told(text, sys.stdout, USUAL)

    def note(self, text: str) -> None:
        """A remark, on stderr, apart from the results."""
        self._told(text, sys.stderr, USUAL)

    def warn(self, text: str) -> None:
        """A remark that is told even if nothing else is."""
        self._told(text, sys.stderr, QUIET)

    def detail(self, text: str) -> None:
        """A remark for those who ask for more; the log has it anyway."""
        self._told(text, sys.stderr, VERBOSE)

    def record(self, text: str) -> None:
        """For the log alone, which tells no folder of this machine: a run may be given away."""
        stamped = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {shown_words([text])[0]}\n"
        if self._log is None:
            self._before.append(stamped)
            return
        try:
            self._log.write(stamped)
            self._log.flush()
        except OSError as error:  # a full disk stops no training
            self._log = None
            self.warn(f"warning: {LOG}: {error.strerror}; what follows is not in it")

    def bar(self, items: Iterable[T], *, name: str, total: int | None = None, done: int = 0) -> tqdm[T]:
        """The items, with a bar where there is a terminal."""
        hidden = True if self._verbosity < USUAL else None
        self._beaten = self._clock()
        return tqdm(items, total=total, initial=done, desc=name, leave=False, disable=hidden)

    def beat(self, bar: tqdm[T], told: Callable[[], tuple[str, str]]) -> None:
        """Show how it goes: beside a bar every second, without one as a line every minute. ``told`` gives the
        place and the numbers, and is asked no more often, since it waits for the device."""
        now = self._clock()
        if now - self._beaten < (MINUTE if bar.disable else SECOND):
            return
        self._beaten = now
        place, numbers = told()
        if bar.disable:
            self.note(f"{place}  {numbers}")
        else:
            bar.set_postfix_str(numbers, refresh=False)

    @contextmanager
    def logging_to(self, path: Path) -> Iterator[None]:
        """Keep a log there, behind what it holds, with the warnings of the package and the error that ends
        the run."""
        logger, handler = logging.getLogger("bnn_train"), _Warnings(self)
        try:
            self._log = path.open("a", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            self.warn(f"warning: {path}: {error.strerror}; this run keeps no log")
        else:
            self._log.writelines(self._before)
        self._before.clear()
        logger.addHandler(handler)
        try:
            yield
        except BaseException as error:
            self.record(f"ended by {type(error).__name__}: {error}")
            raise
        finally:
            logger.removeHandler(handler)
            if self._log is not None:
                self._log.close()
            self._log = None

    def _told(self, text: str, stream: TextIO, least: int) -> None:
        if self._verbosity >= least:
            tqdm.write(coloured(text, stream), file=stream)
        self.record(text)


class _Warnings(logging.Handler):
    """Hands the package's warnings to a console."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``."""
        self._console.warn(record.getMessage())
