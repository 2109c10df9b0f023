"""Errors as sentences, and the exit code of every command."""

from __future__ import annotations

import argparse
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from bnn_train import __version__
from bnn_train.cli import completion, terminal
from bnn_train.colours import coloured
from bnn_train.errors import (
    EXIT_SIGINT,
    EXIT_USER_ERROR,
    BnnError,
    ConfigError,
    Interrupted,
    LostError,
    RunError,
)
from bnn_train.files import expanded
from bnn_train.launch import deputises, launched, speaks

QUIET, USUAL, VERBOSE = -1, 0, 1


class _Voice:
    """How much a command says; set as it starts."""

    verbosity = USUAL


def say(sentence: str, least: int = USUAL) -> None:
    """One line to the user's terminal, apart from the results on stdout; ``least``: the verbosity from which
    on it is told."""
    if _Voice.verbosity >= least:
        print(coloured(sentence, sys.stderr), file=sys.stderr, flush=True)


def add_common(p: argparse.ArgumentParser, example: str) -> None:
    """The options that every command has, and the end of its help: a command line that works."""
    p.epilog = "\n\n".join([*filter(None, [p.epilog]), f"example: {example}"])
    group = p.add_mutually_exclusive_group()
    group.add_argument("-q", "--quiet", action="store_true", help="say nothing but results and errors")
    group.add_argument("-v", "--verbose", action="store_true", help="say more; of an error, where it arose")
    p.add_argument("--version", action="version", version=f"bnn_train {__version__}")
    completion.add(p)


def verbosity(args: argparse.Namespace) -> int:
    """The verbosity that ``-q`` and ``-v`` ask for; ``say`` heeds it from now on."""
    _Voice.verbosity = QUIET if args.quiet else VERBOSE if args.verbose else USUAL
    return _Voice.verbosity


def path_argument(text: str) -> Path:
    """The ``type`` of every option that names a file or folder: ``~`` is the home folder, also in
    ``--out=~/f``, where the shell leaves it alone."""
    try:
        return expanded(text)
    except BnnError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def guarded(command: Callable[[], None], *, together: bool = False) -> int:
    """Run a command; every foreseen failure is a sentence and an exit code, never a traceback. Of several
    processes that a launcher started the first tells it; ``together``: the command knows of them."""
    try:
        if launched() and not together:
            raise RunError("only a training runs in several processes; start this without torchrun")
        command()
        terminal.settle()
    except ConfigError as error:
        return _failed("\n".join(f"error: {problem}" for problem in error.problems), error.exit_code)
    except Interrupted as stopped:
        return _failed(str(stopped), stopped.exit_code)
    except LostError as error:
        return _failed(f"error: {error}", error.exit_code, tells=speaks() or deputises())
    except BnnError as error:
        return _failed(f"error: {error}", error.exit_code)
    except KeyboardInterrupt:
        return _failed("interrupted", EXIT_SIGINT)
    except (OSError, UnicodeEncodeError, MemoryError, RuntimeError) as error:
        return _failed(f"error: {_surroundings(error)}", EXIT_USER_ERROR)
    return 0


def _failed(told: str, code: int, *, tells: bool | None = None) -> int:
    if _Voice.verbosity >= VERBOSE:
        traceback.print_exc()
    for line in told.split("\n") if (speaks() if tells is None else tells) else ():
        say(line, QUIET)
    return code


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
