"""What the commands share: how an error is told and which code the process leaves with."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from bnn_train.errors import EXIT_SIGINT, BnnError, ConfigError, Interrupted


def say(sentence: str) -> None:
    """One line to the user's terminal, apart from the results on stdout."""
    print(sentence, file=sys.stderr, flush=True)


def guarded(command: Callable[[], None]) -> int:
    """Run a command; every foreseen failure is a sentence and an exit code, never a traceback."""
    try:
        command()
        sys.stdout.flush()
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
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing to tell
        return 0
    return 0
