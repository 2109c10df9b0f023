"""The tiny experiment as a config file, and commands run on it in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from bnn_train.cli.train import main as train
from tiny import TINY

Command = Callable[[Sequence[str]], int]


def write_config(folder: Path, name: str = "t.yaml", **sections: object) -> Path:
    """``TINY`` with sections replaced, one section a line."""
    path = folder / name
    lines = [
        f"{key}: {yaml.safe_dump(value, default_flow_style=True, width=1000)}"
        for key, value in (TINY | sections).items()
    ]
    path.write_text("".join(line.replace("...\n", "") for line in lines), encoding="utf-8")
    return path


NOTICES = ("run folder: ", "resuming ")
"""The lines that stand on stderr before an error that comes after the first step, and before no other."""


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes; folders with nothing."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


def errors(
    command: Command, arguments: Sequence[str], capsys: pytest.CaptureFixture[str], *, begun: bool = True
) -> list[str]:
    """The sentences, each after ``error: ``, of a command that must fail with exit code 2; ``begun``: maybe
    after a run's first step."""
    capsys.readouterr()
    assert command(list(map(str, arguments))) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    if begun and said[0].startswith(NOTICES):
        del said[0]
    assert said
    assert all(line.startswith("error: ") for line in said), said
    return [line.removeprefix("error: ") for line in said]


def refused(arguments: Sequence[str], capsys: pytest.CaptureFixture[str], command: Command = train) -> str:
    """The only sentence of a command that fails and leaves the current directory as it was."""
    before = files(Path())
    said = errors(command, arguments, capsys, begun=False)
    assert len(said) == 1, said
    assert files(Path()) == before
    return said[0]
