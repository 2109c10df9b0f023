"""Errors as sentences, and the exit code of every command."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from bnn_train.cli import terminal
from bnn_train.errors import EXIT_SIGINT, EXIT_USER_ERROR, BnnError, ConfigError, Interrupted
from bnn_train.files import expanded


def say(sentence: str) -> None:
    """One line to the user's terminal, apart from the results on stdout."""
    print(sentence, file=sys.stderr, flush=True)


def path_argument(text: str) -> Path:
    """The ``type`` of every option that names a file or folder: ``~`` is the home folder, also in
    ``--out=~/f``, where the shell leaves it alone."""
    try:
        return expanded(text)
    except BnnError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def guarded(command: Callable[[], None]) -> int:
    """Run a command; every foreseen failure is a sentence and an exit code, never a traceback."""
    try:
        command()
        terminal.settle()
    except ConfigError as error:
        say("\n".join(f"error: {problem}" for problem in error.problems))
        return error.exit_code
    except Interrupted as stopped:
        say(str(stopped))
        return stopped.exit_code
    except BnnError as error:
        say(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return EXIT_SIGINT
    except (OSError, UnicodeEncodeError, MemoryError, RuntimeError) as error:
        say(f"error: {_surroundings(error)}")
        return EXIT_USER_ERROR
    return 0


def _surroundings(error: Exception) -> str:
    """A refusal of the machine (disk, memory, encoding) as a sentence; any other error is raised again."""
    if isinstance(error, UnicodeEncodeError):
        return (
            f"{ascii(error.object)[:200]} cannot be spelled in {error.encoding}; rename it, or set"
            " PYTHONUTF8=1 where the locale is not UTF-8"
        )
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    reason = str(error).partition("\n")[0]
    if not isinstance(error, MemoryError) and not re.search("can't allocate memory|out of memory", reason):
        raise error
    return f"not enough memory ({reason}); lower data.batch_size, data.eval_batch_size or the model's width"
