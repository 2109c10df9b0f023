"""The errors a user can cause or meet, each one sentence, and the exit codes of the commands."""

from __future__ import annotations

from pathlib import Path

EXIT_USER_ERROR = 2
EXIT_SIGINT = 130


def printable(name: str | Path) -> str:
    """A file's or a class's name for a sentence: on one line, and with bytes that are no UTF-8, and letters
    that nobody sees, as escapes."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in str(name))


def _escaped(letter: str) -> str:
    byte = ord(letter) - 0xDC00  # os.fsdecode's stand-in for a byte that is no UTF-8
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else letter.encode("unicode_escape").decode("ascii")


class BnnError(Exception):
    """A mistake in the input or a fault of the surroundings, told in one sentence.

    Commands print the message as ``error: …`` and leave with ``exit_code``; no traceback.
    """

    exit_code = EXIT_USER_ERROR


class ConfigError(BnnError):
    """Everything that is wrong with a config, one line per mistake."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class DataError(BnnError):
    """Images that are missing, damaged or not what the config says they are."""


class ImageError(DataError):
    """One image file that is missing, damaged or unfit; the others may be in order."""


class CheckpointError(BnnError):
    """A checkpoint that is missing, damaged, foreign or does not fit."""


class RunError(BnnError):
    """A run folder that cannot be used, or a training that cannot go on."""


class LostError(RunError):
    """Another process of the run that ended, or cannot be reached."""


class ExportError(BnnError):
    """A network that cannot be lowered to a packed program, or whose packed twin does not agree with it."""


class NonFiniteError(RunError):
    """NaN or infinity in the loss or in a parameter."""


class Interrupted(BnnError):
    """A signal stopped the run after it was saved; ``exit_code`` is 128 + the signal's number."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
