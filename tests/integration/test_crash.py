"""Death at any moment: what is on the disk then leads to the same run, from its beginning or from a save."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnn_train.training.run import resume, start
from same_run import assert_same_run
from tiny import tiny

EVERY = {"training": {"checkpoint_every": 2}, "data": {"train_limit": 48}}
"""Two epochs of three steps."""
CALLS = ("replace", "link")
"""The calls that make a file appear under its name."""


class Killed(BaseException):
    """The process is gone: nothing of ours catches this."""


class Reaper:
    """Lets so many renames and links happen, and kills before or after the next one."""

    def __init__(self, spared: int, *, after: bool) -> None:
        self.left, self.after = spared, after

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left < 0 and not self.after:
                raise Killed
            result = call(*args, **kwargs)
            if self.left < 0:
                raise Killed
            return result

        return wrapped


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    start(tiny(folder, **EVERY))
    return folder


def killed(folder: Path, spared: int, *, after: bool) -> bool:
    """Start the run and kill it at that rename or link; False if it ended before."""
    reaper = Reaper(spared, after=after)
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, reaper.wrap(getattr(os, name)))
        try:
            start(tiny(folder, **EVERY))
        except Killed:
            return True
    return False


@pytest.mark.parametrize("after", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_death_at_every_rename_and_link(after: bool, straight: Path, tmp_path: Path) -> None:
    moments = resumed = 0
    while killed(folder := tmp_path / str(moments), moments, after=after):
        moments += 1
        if not (folder / "config.yaml").exists():
            resume(folder, tiny(folder, **EVERY))
        else:
            resume(folder, None)
        assert not list(folder.rglob("*.tmp"))
        resumed += 1
        assert_same_run(straight, folder)
    assert resumed == moments >= 12
