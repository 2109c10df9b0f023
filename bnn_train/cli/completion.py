"""``--print-completion SHELL``: a script by which a shell completes a command's options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

SHELLS = ("bash", "zsh", "tcsh")


def add(p: argparse.ArgumentParser) -> None:
    """Add the option."""
    p.add_argument(
        "--print-completion",
        metavar="SHELL",
        choices=SHELLS,
        action=_Print,
        help="print what makes bash, zsh or tcsh complete this command, and exit",
    )


class _Print(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        try:
            import shtab
        except ImportError:
            parser.error("shtab is missing, which writes it: pip install 'bnn-train[completion]'")
        for action in parser._actions:
            if getattr(action.type, "__name__", "") == "path_argument":
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks
        print(shtab.complete(parser, str(values)))
        parser.exit()
