"""Files written whole or not at all, with the umask's mode, by every writer; and where ~ leads."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from bnn_train.errors import BnnError, RunError
from bnn_train.files import expanded, replace_file, write_atomic
from bnn_train.packed import container
from bnn_train.training import checkpoint as ckpt
from bnn_train.training import images

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "packed_v1.bnn"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o022, 0o002, 0o077, 0o027])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    former = os.umask(request.param)
    yield request.param
    os.umask(former)


WAYS = {"write_bytes", "rename", "mkstemp", "rmtree"}
WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: write_atomic(path, "ä"),
    "bytes": lambda path: write_atomic(path, b"\xff"),
    "a checkpoint": lambda path: ckpt.write(path, ckpt.Checkpoint({"a": torch.zeros(2)}, {})),
    "a packed network": lambda path: container.write(path, *container.read(GOLDEN)),
    "a list of images": lambda path: images.record(path.parent, {"train": np.zeros(1, np.int64)}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_mode_is_the_umasks(name: str, umask: int, tmp_path: Path) -> None:
    """As that of any file that a program makes, whichever library writes the bytes; also over another."""
    for _ in range(2):
        WRITERS[name](tmp_path / "file")
        [written] = tmp_path.iterdir()
        assert mode(written) == 0o666 & ~umask


def test_no_other_way_to_replace_or_remove() -> None:
    """Whole trees are never removed, and files are replaced through one function."""
    found = set()
    for path in sorted((ROOT / "bnn_train").rglob("*.py")):
        name = str(path.relative_to(ROOT / "bnn_train"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in {
                "write_bytes",
                "rename",
                "mkstemp",
                "rmtree",
            }:
                found.add((name, node.attr))
    assert found == {("files.py", "write_bytes"), ("packed/container.py", "write_bytes")}


def test_a_failure_leaves_the_former_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("former")

    def fails(place: Path) -> None:
        place.write_text("half")
        raise ValueError

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            replace_file(path, fails if error is ValueError else interrupted)
        assert path.read_text() == "former"
        assert os.listdir(tmp_path) == ["f"]


def interrupted(place: Path) -> None:
    raise KeyboardInterrupt


def test_what_a_killed_process_of_the_same_number_left_is_no_hindrance(tmp_path: Path) -> None:
    """In a container every run may be process 1."""
    (tmp_path / f".f.{os.getpid()}.tmp").write_text("half")
    write_atomic(tmp_path / "f", "whole")
    assert (tmp_path / "f").read_text() == "whole"
    assert os.listdir(tmp_path) == ["f"]


def test_the_longest_names(tmp_path: Path) -> None:
    for name in ("n" * 255, "ä" * 127):
        write_atomic(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"


def test_a_link_is_replaced_and_its_target_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "report").symlink_to("mine")
    write_atomic(tmp_path / "report", "new")
    assert (tmp_path / "mine").read_text() == "precious"
    assert (tmp_path / "report").read_text() == "new"


def test_a_pipe_and_a_device_are_written_in_place(tmp_path: Path) -> None:
    """A rename would put a plain file where the device was, /dev/null for a root user."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(pipe, "heard")
    assert os.read(reader, 99) == b"heard"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    write_atomic(link, "gone")
    assert link.is_symlink()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be written: Is a directory"):
        write_atomic(tmp_path, "x")


def test_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a") == tmp_path / "a"
    assert expanded("~") == tmp_path
    assert expanded("a/~/b") == Path("a/~/b")
    assert expanded(str(expanded("./~"))) == Path.cwd() / "~"
    assert expanded("~root/x").is_absolute()
    with pytest.raises(BnnError, match="~nobody-of-that-name/x: no such user"):
        expanded("~nobody-of-that-name/x")
    assert expanded(Path("b")) == Path("b")
