"""A disk or network that does not answer: tried again, and told apart from a file at fault."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from bnn_train.errors import DataError, ImageError
from bnn_train.packed import photo
from make_deep import PLAIN

CONTENT = PLAIN["rgb8.png"]


class Disk:
    """Fails the first reads with the given error numbers, then answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: list[int]) -> None:
        self.failures, self.reads = failures, 0
        self.slept: list[float] = []
        monkeypatch.setattr(time, "sleep", self.slept.append)
        self.open = os.open
        monkeypatch.setattr(os, "open", self.opened)

    def opened(self, path: Path, flags: int, *more: int) -> int:
        self.reads += 1
        if self.failures:
            number = self.failures.pop(0)
            raise OSError(number, os.strerror(number), str(path))
        return self.open(path, flags, *more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "a.png").write_bytes(CONTENT)
    return tmp_path / "class" / "a.png"


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN]
)
@pytest.mark.parametrize("times", [1, 5])
def test_an_answer_after_some_tries(
    number: int, times: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, [number] * times)
    assert photo.read_photo(path, "RGB").image.size == (4, 4)
    assert (disk.reads, disk.slept) == (times + 1, list(photo.WAITS[:times]))
    assert sorted(disk.slept) == disk.slept


def test_no_answer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, [errno.EIO] * 6)
    with pytest.raises(
        DataError, match=r"Input/output error\), tried 6 times in 23 s; see to the disk"
    ) as raised:
        photo.read_photo(path, "RGB")
    assert not isinstance(raised.value, ImageError)  # so that it is not skipped as a damaged image
    assert disk.reads == 6


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT, errno.ENAMETOOLONG])
def test_a_file_at_fault_is_tried_once(number: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, [number])
    with pytest.raises(ImageError):
        photo.read_photo(path, "RGB", listed=True)
    assert (disk.reads, disk.slept) == (1, [])


@pytest.mark.parametrize("listed", [True, False])
def test_a_folder_that_goes_and_comes_back(listed: bool, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = path.parent.rename(path.parent.with_name("away"))
    slept = []

    def back(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            away.rename(path.parent)

    monkeypatch.setattr(time, "sleep", back)
    if listed:
        assert photo.read_photo(path, "RGB", listed=True).image.size == (4, 4)
        assert len(slept) == 3
    else:  # a path that a user gave is answered at once
        with pytest.raises(ImageError, match="no such file"):
            photo.read_photo(path, "RGB")
        assert not slept
