"""The commands where their scripts are not on the path: ``python -m bnn_train eval …`` is ``bnn-eval …``.

Without a command's name, ``python -m bnn_train`` is ``bnn-train``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pkgutil import resolve_name

from bnn_train.cli import terminal

COMMANDS = ("train", "eval", "export", "report", "summary", "predict", "sweep")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the command's exit code."""
    terminal.prepare()
    words = list(sys.argv[1:] if argv is None else argv)
    name = words.pop(0) if words and words[0] in COMMANDS else COMMANDS[0]
    command: Callable[[Sequence[str]], int] = resolve_name(f"bnn_train.cli.{name}:main")
    return command(words)


if __name__ == "__main__":
    sys.exit(main())
